"""Tokens: JWTs (RFC 7519) of one issuer, signed with one pinned algorithm.

Pure: the clock, the keys and the randomness are passed in. A token is verified once; what it
grants is then carried as a `Grant`, whose expiry and revocation are cheap to look at again for
every message. Whether a token was revoked stands in `monitor.registry`.
"""

import binascii
import math
import re
import secrets
from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Annotated

import jwt
import msgspec

from monitor.contract.verdicts import UsageError, WsproofError
from monitor.keys import Key, KeyTable

ISSUER = "wsproof"
AUDIENCE = "wsproof-monitor"

#: The only algorithm, whatever a token's header says (RFC 8725 section 3.1).
ALGORITHM = "HS256"

#: Longest lifetime of a token, issued or accepted.
MAX_TTL_S = 400 * 86_400.0

#: Longest token looked at, in characters.
MAX_TOKEN_CHARS = 4_096

#: How far an issuer's clock may be ahead of ours: for `iat` and `nbf`, never for `exp`.
CLOCK_SKEW_S = 5.0

# Unpadded base64url, and a signature of 256 bits: one token has one spelling only.
_COMPACT = re.compile(r"[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]{43}", re.ASCII)
_SUBJECT = r"^[A-Za-z0-9][A-Za-z0-9._@:+-]{0,63}\Z"
_LATEST = 2**53


class Scope(StrEnum):
    """What a token allows."""

    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"
    ADMIN = "admin"


class Grant(msgspec.Struct, frozen=True):
    """What a verified token allows, to whom and until when. Times in unix seconds.

    `key_id` names the key it was verified with; None where it only stands in the records.
    """

    subject: str
    scopes: frozenset[Scope]
    token_id: str
    issued_at: float
    expires_at: float
    key_id: str | None = None


class TokenFault(StrEnum):
    """Why a token was refused: for metrics and logs, never for the peer."""

    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    KEY = "key"
    SIGNATURE = "signature"
    CLAIMS = "claims"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    REVOKED = "revoked"


class TokenError(WsproofError):
    """A token is refused. The text is the same for every reason; `reason` is private to us."""

    exit_code = UsageError.exit_code

    def __init__(self, reason: TokenFault) -> None:
        super().__init__(
            "token: not valid for this server; get a fresh one with `wsproof token issue`"
        )
        self.reason = reason


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The only header parameters we know: `crit`, `jku`, `x5u`, `jwk` and the rest are refused."""

    alg: str
    kid: str
    typ: str = "JWT"


class _Claims(msgspec.Struct, frozen=True, omit_defaults=True):
    """The claims we require. Others are ignored (RFC 7519 section 4)."""

    iss: str
    aud: str
    sub: Annotated[str, msgspec.Meta(pattern=_SUBJECT)]
    scope: Annotated[str, msgspec.Meta(max_length=256)]
    jti: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{16,128}\Z")]
    iat: Annotated[int, msgspec.Meta(ge=0, le=_LATEST)]
    exp: Annotated[int, msgspec.Meta(ge=0, le=_LATEST)]
    nbf: Annotated[int, msgspec.Meta(ge=0, le=_LATEST)] = 0


_header = msgspec.json.Decoder(_Header)
_claims = msgspec.json.Decoder(_Claims)
_jws = jwt.PyJWS()


def check_subject(subject: str) -> None:
    """See that a token could be issued to this name.

    Raises:
        UsageError: it has other characters than a name may have.
    """
    if not re.match(_SUBJECT, subject):
        raise UsageError(
            f"subject {subject!r}: expected 1 to 64 letters, digits and ._@:+- (a letter or digit"
            " first); choose another name"
        )


def issue(
    keys: KeyTable,
    subject: str,
    scopes: Collection[Scope],
    ttl_s: float,
    now: float,
    *,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[str, Grant]:
    """Return a token signed with the current key, and what it grants.

    It is valid from `now` (unix s) for `ttl_s` seconds, rounded up to a whole second of the
    clock. Its id has 128 random bits.

    Raises:
        UsageError: the subject has other characters than a name may have, there is no scope, or
            the lifetime is out of bounds.
    """
    check_subject(subject)
    if not scopes:
        raise UsageError(f"token for {subject}: no scope; name at least one of {', '.join(Scope)}")
    if not 0 < ttl_s <= MAX_TTL_S:
        raise UsageError(
            f"token for {subject}: lifetime of {ttl_s:g} s; expected more than 0 and at most"
            f" {MAX_TTL_S:.0f} s ({MAX_TTL_S / 86_400:.0f} days)"
        )
    grant = Grant(
        subject,
        frozenset(scopes),
        random(16).hex(),
        float(math.floor(now)),
        float(math.ceil(now + ttl_s)),
        keys.current,
    )
    claims = _Claims(
        iss=ISSUER,
        aud=AUDIENCE,
        sub=subject,
        scope=" ".join(sorted(grant.scopes)),  # RFC 8693 section 4.2
        jti=grant.token_id,
        iat=int(grant.issued_at),
        exp=int(grant.expires_at),
    )
    key = keys.keys[keys.current]
    token = _jws.encode(
        msgspec.json.encode(claims), key.secret, algorithm=ALGORITHM, headers={"kid": key.kid}
    )
    return token, grant


def verify(keys: KeyTable, token: str, now: float) -> Grant:
    """Return what `token` grants at `now` (unix s).

    The signature is looked at before any claim is, with the pinned algorithm and a key of the
    closed table. Costs no more for a hostile token than for a good one. A grant of a key that was
    replaced ends with the key's acceptance.

    Raises:
        TokenError: with one text for every reason.
    """
    if len(token) > MAX_TOKEN_CHARS:
        raise TokenError(TokenFault.OVERSIZED)
    if not _COMPACT.fullmatch(token):
        raise TokenError(TokenFault.MALFORMED)
    key = _key(keys, token.partition(".")[0], now)
    grant = _grant(_signed_claims(token, key.secret), key.kid, now)
    if key.accept_until is None or grant.expires_at <= key.accept_until:
        return grant
    return msgspec.structs.replace(grant, expires_at=key.accept_until)


def end_of(keys: KeyTable, grant: Grant) -> float:
    """Return until when (unix s) a verified grant holds with these keys; 0.0: no longer."""
    key = keys.keys.get(grant.key_id or "")
    if key is None:
        return 0.0
    return grant.expires_at if key.accept_until is None else min(grant.expires_at, key.accept_until)


def _key(keys: KeyTable, segment: str, now: float) -> Key:
    """Choose the key by the token's header, which is not trusted: it picks from our table."""
    try:
        padded = segment.replace("-", "+").replace("_", "/") + "=" * (-len(segment) % 4)
        header = _header.decode(binascii.a2b_base64(padded))
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise TokenError(TokenFault.MALFORMED) from None
    if header.alg != ALGORITHM:
        raise TokenError(TokenFault.ALGORITHM)
    if header.typ.upper() != "JWT":  # RFC 7519 section 5.1: compared without case
        raise TokenError(TokenFault.MALFORMED)
    key = keys.accepted(header.kid, now)
    if key is None:
        raise TokenError(TokenFault.KEY)
    return key


def _signed_claims(token: str, secret: bytes) -> _Claims:
    """Verify the signature (compared in constant time by PyJWT), then decode the claims."""
    try:
        signed = _jws.decode_complete(token, secret, algorithms=[ALGORITHM])
    except jwt.InvalidSignatureError:
        raise TokenError(TokenFault.SIGNATURE) from None
    except jwt.InvalidAlgorithmError:
        raise TokenError(TokenFault.ALGORITHM) from None
    except jwt.InvalidTokenError:
        raise TokenError(TokenFault.MALFORMED) from None
    try:
        return _claims.decode(signed["payload"])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise TokenError(TokenFault.CLAIMS) from None


def _grant(claims: _Claims, key_id: str, now: float) -> Grant:
    """Judge the claims. PyJWT's own checks read the wall clock, so it is never given them."""
    names = claims.scope.split(" ")
    if claims.iss != ISSUER or claims.aud != AUDIENCE or not set(names) <= set(Scope):
        raise TokenError(TokenFault.CLAIMS)
    if not 0 < claims.exp - claims.iat <= MAX_TTL_S + 2:  # both ends were rounded outwards
        raise TokenError(TokenFault.CLAIMS)
    if now >= claims.exp:
        raise TokenError(TokenFault.EXPIRED)
    if max(claims.iat, claims.nbf) > now + CLOCK_SKEW_S:
        raise TokenError(TokenFault.NOT_YET_VALID)
    scopes = frozenset(Scope(name) for name in names)
    return Grant(claims.sub, scopes, claims.jti, float(claims.iat), float(claims.exp), key_id)
