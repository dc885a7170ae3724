import base64
import hashlib
import hmac
import json
from types import MappingProxyType
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.contract.verdicts import UsageError
from monitor.keys import Key, KeyTable
from monitor.tokens import (
    AUDIENCE,
    CLOCK_SKEW_S,
    ISSUER,
    MAX_TOKEN_CHARS,
    MAX_TTL_S,
    Scope,
    TokenError,
    TokenFault,
    issue,
    verify,
)

NOW = 1_700_000_000.25
SECRET = bytes(range(32))
KEYS = KeyTable(
    MappingProxyType({"k1": Key("k1", SECRET), "old": Key("old", b"o" * 32, NOW + 10)}), "k1"
)
TOKEN, GRANT = issue(KEYS, "alice", {Scope.SUBSCRIBE, Scope.PUBLISH}, 60, NOW)


def part(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "scope": "subscribe",
        "jti": "0123456789abcdef",
        "iat": int(NOW),
        "exp": int(NOW) + 60,
    }
    whole.update(changes)
    return {name: value for name, value in whole.items() if value is not ...}


def signed(
    body: object, header: object = None, secret: bytes = SECRET, digest: str = "sha256"
) -> str:
    """A token made by hand, so that what no library would sign can be signed."""
    head = part(header if header is not None else {"alg": "HS256", "kid": "k1", "typ": "JWT"})
    signing_input = f"{head}.{part(body)}"
    signature = hmac.digest(secret, signing_input.encode(), digest)
    return f"{signing_input}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def reason(token: str, now: float = NOW) -> TokenFault:
    with pytest.raises(TokenError) as caught:
        verify(KEYS, token, now)
    assert str(caught.value) == str(TokenError(TokenFault.EXPIRED))
    assert token == "" or token not in str(caught.value)
    return caught.value.reason


def test_what_was_issued_is_what_is_verified() -> None:
    assert verify(KEYS, TOKEN, NOW) == GRANT
    assert GRANT.subject == "alice"
    assert GRANT.scopes == {Scope.SUBSCRIBE, Scope.PUBLISH}


def test_a_token_lives_as_long_as_asked_and_at_most_a_second_longer() -> None:
    assert verify(KEYS, TOKEN, NOW + 60)
    assert NOW + 60 <= GRANT.expires_at < NOW + 61
    assert reason(TOKEN, GRANT.expires_at) is TokenFault.EXPIRED
    assert verify(KEYS, TOKEN, GRANT.expires_at - 1e-6)


def test_a_token_made_by_hand_verifies_so_the_forgeries_below_fail_for_their_own_fault() -> None:
    assert verify(KEYS, signed(claims()), NOW).subject == "alice"
    assert verify(KEYS, signed(claims(extra=[1, {"a": None}])), NOW).subject == "alice"


def test_another_library_reads_our_tokens() -> None:
    read = jwt.decode(
        TOKEN,
        SECRET,
        algorithms=["HS256"],
        audience=AUDIENCE,
        issuer=ISSUER,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert (read["sub"], read["scope"]) == ("alice", "publish subscribe")
    assert "nbf" not in read


def test_ids_have_128_bits_and_do_not_repeat() -> None:
    ids = {issue(KEYS, "a", {Scope.ADMIN}, 1, NOW)[1].token_id for _ in range(200)}
    assert len(ids) == 200
    assert {len(bytes.fromhex(identity)) for identity in ids} == {16}


@given(st.data())
def test_no_altered_character_goes_unnoticed(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TOKEN) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != TOKEN[at]))
    with pytest.raises(TokenError):
        verify(KEYS, TOKEN[:at] + other + TOKEN[at + 1 :], NOW)


@given(st.text() | st.from_regex(r"[\w-]*\.[\w-]*\.[\w-]*", fullmatch=True))
def test_no_other_text_is_a_token(text: str) -> None:
    with pytest.raises(TokenError):
        verify(KEYS, text, NOW)


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("", TokenFault.MALFORMED),
        ("a.b.c", TokenFault.MALFORMED),
        (TOKEN + "=", TokenFault.MALFORMED),
        (TOKEN + "\n", TokenFault.MALFORMED),
        (" " + TOKEN, TokenFault.MALFORMED),
        (TOKEN.replace("e", "е", 1), TokenFault.MALFORMED),  # Cyrillic
        (TOKEN.replace(".", "\0.", 1), TokenFault.MALFORMED),
        (TOKEN[:-43], TokenFault.MALFORMED),
        (TOKEN + "." + TOKEN, TokenFault.MALFORMED),
        ("a" * (MAX_TOKEN_CHARS + 1), TokenFault.OVERSIZED),
        (signed(claims(pad="x" * 4_096)), TokenFault.OVERSIZED),
        (signed(claims(), "[" * 2_000), TokenFault.MALFORMED),
        (signed(claims(), []), TokenFault.MALFORMED),
        (signed(claims(), "\ud7ff nonsense"), TokenFault.MALFORMED),
        (signed(claims(), secret=b"x" * 32), TokenFault.SIGNATURE),
        (signed(claims(), secret=b""), TokenFault.SIGNATURE),
        (signed(claims(), secret=b"secret"), TokenFault.SIGNATURE),
    ],
)
def test_a_malformed_oversized_or_forged_token_is_refused(token: str, expected: TokenFault) -> None:
    assert reason(token) is expected


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "nOnE", "", "HS384", "HS512", "RS256", "ES256", "hs256"]
)
def test_the_algorithm_is_pinned_whatever_the_header_says(algorithm: str) -> None:
    header = {"alg": algorithm, "kid": "k1"}
    assert reason(signed(claims(), header)) is TokenFault.ALGORITHM
    unsigned = f"{part(header)}.{part(claims())}."
    assert reason(unsigned) is TokenFault.MALFORMED


def test_a_stronger_digest_under_the_pinned_name_is_refused() -> None:
    assert reason(signed(claims(), digest="sha512")) is TokenFault.MALFORMED
    assert reason(signed(claims(), digest="sha3_256")) is TokenFault.SIGNATURE


@pytest.mark.parametrize(
    "extra",
    [
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": True},
        {"b64": False, "crit": ["b64"]},
        {"jku": "http://127.0.0.1/keys"},
        {"x5u": "http://127.0.0.1/cert"},
        {"x5c": ["MII"]},
        {"jwk": {"kty": "oct", "k": part("x" * 32)}},
        {"typ": "at+jwt"},
        {"typ": 1},
        {"kid": 1},
        {"kid": None},
        {"alg": None},
        {"alg": ["HS256"]},
        {"cty": "JWT"},
        {"zip": "DEF"},
    ],
)
def test_a_header_with_anything_but_algorithm_key_id_and_type_is_refused(
    extra: dict[str, Any],
) -> None:
    header = {"alg": "HS256", "kid": "k1", "typ": "JWT", **extra}
    assert reason(signed(claims(), header)) is TokenFault.MALFORMED


@pytest.mark.parametrize(
    "kid", ["", "k2", "K1", "../../etc/passwd", "/dev/null", "' OR 1=1 --", "k1\0", "k" * 500]
)
def test_a_key_id_only_picks_from_the_table(kid: str) -> None:
    assert reason(signed(claims(), {"alg": "HS256", "kid": kid}, b"")) is TokenFault.KEY
    assert reason(signed(claims(), {"alg": "HS256"})) is TokenFault.MALFORMED


def test_a_replaced_key_is_accepted_until_its_time() -> None:
    token = signed(claims(), {"alg": "HS256", "kid": "old"}, b"o" * 32)
    assert verify(KEYS, token, NOW + 9.9)
    assert reason(token, NOW + 10) is TokenFault.KEY


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "scope", "jti", "iat", "exp"])
@pytest.mark.parametrize("value", [..., None, True, 1.5, "", [], {}, [AUDIENCE], -1, "\n"])
def test_each_required_claim_must_be_there_and_of_its_type(name: str, value: Any) -> None:
    assert reason(signed(claims(**{name: value}))) is TokenFault.CLAIMS


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "WSPROOF"},
        {"aud": "wsproof"},
        {"sub": "a b"},
        {"sub": "a" * 65},
        {"sub": "alice\x1b[31m"},
        {"sub": "alice\n"},
        {"scope": "root"},
        {"scope": "subscribe root"},
        {"scope": "subscribe,publish"},
        {"scope": "subscribe  publish"},
        {"scope": ["subscribe"]},
        {"jti": "short"},
        {"jti": "a" * 129},
        {"exp": "1700000060"},
        {"exp": 1700000060.0},
        {"exp": 10**30},
        {"exp": 2**53},
        {"exp": int(NOW + 2 * MAX_TTL_S)},
        {"exp": int(NOW), "iat": int(NOW)},
        {"iat": int(NOW) + 1, "exp": int(NOW)},
        {"nbf": "0"},
        {"nbf": None},
        {"nbf": 1.0},
    ],
)
def test_a_claim_out_of_bounds_is_refused(change: dict[str, Any]) -> None:
    assert reason(signed(claims(**change))) is TokenFault.CLAIMS


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "1e10", "060"])
def test_an_expiry_that_is_no_whole_number_is_refused(number: str) -> None:
    body = json.dumps(claims(exp=0)).replace('"exp": 0', f'"exp": {number}')
    assert reason(signed(body)) is TokenFault.CLAIMS


@pytest.mark.parametrize("body", ["", "[]", "null", "[" * 1_500, '"text"', "{"])
def test_a_signed_body_that_is_no_object_is_refused(body: str) -> None:
    expected = TokenFault.MALFORMED if not body else TokenFault.CLAIMS
    assert reason(signed(body)) is expected


def test_a_token_of_the_future_is_refused_beyond_the_clock_skew() -> None:
    for name in ("nbf", "iat"):
        soon = claims(exp=int(NOW) + 600, **{name: int(NOW + CLOCK_SKEW_S)})
        assert verify(KEYS, signed(soon), NOW)
        late = claims(exp=int(NOW) + 600, **{name: int(NOW + CLOCK_SKEW_S) + 1})
        assert reason(signed(late)) is TokenFault.NOT_YET_VALID


def test_only_the_clock_passed_in_counts() -> None:
    ancient, _ = issue(KEYS, "alice", {Scope.ADMIN}, 60, 1_000.0)
    assert verify(KEYS, ancient, 1_001.0)
    distant, _ = issue(KEYS, "alice", {Scope.ADMIN}, 60, 9e9)
    assert verify(KEYS, distant, 9e9 + 1)


@pytest.mark.parametrize("subject", ["", "a b", "-a", "a\n", "ä", "a" * 65, "a/b", "\x1b"])
def test_a_subject_with_other_characters_gets_no_token(subject: str) -> None:
    with pytest.raises(UsageError, match="subject"):
        issue(KEYS, subject, {Scope.ADMIN}, 60, NOW)


@pytest.mark.parametrize("ttl_s", [0, -1, MAX_TTL_S + 1, float("nan"), float("inf")])
def test_a_lifetime_out_of_bounds_gets_no_token(ttl_s: float) -> None:
    with pytest.raises(UsageError, match="lifetime"):
        issue(KEYS, "alice", {Scope.ADMIN}, ttl_s, NOW)


def test_a_token_without_scope_is_not_issued() -> None:
    with pytest.raises(UsageError, match="scope"):
        issue(KEYS, "alice", set(), 60, NOW)


def test_the_longest_lifetime_verifies() -> None:
    token, grant = issue(KEYS, "alice", {Scope.ADMIN}, MAX_TTL_S, NOW)
    assert verify(KEYS, token, NOW) == grant


def test_common_weak_secrets_do_not_open_the_door() -> None:
    for weak in ("", "secret", "password", "changeme", "wsproof", "key", "test", "0" * 32):
        key = hashlib.sha256(weak.encode()).digest()
        assert reason(signed(claims(), secret=weak.encode())) is TokenFault.SIGNATURE
        assert reason(signed(claims(), secret=key)) is TokenFault.SIGNATURE
