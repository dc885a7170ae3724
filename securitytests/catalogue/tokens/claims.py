"""Tokens with a good signature whose claims do not allow what they are shown for."""

import json
import time
from typing import Any

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.tokens.trial import try_forged
from securitytests.check import Claim, check
from securitytests.probe import jws
from securitytests.tokens import Key, Signed

#: Far beyond any leeway for clocks that differ.
_LONG_S = 3_600

#: Values that are no NumericDate (RFC 7519 section 2), as JSON text; some parsers take them.
_NO_DATES = {
    "a text": '"{later}"',
    "a text that is no number": '"never"',
    "null": "null",
    "true": "true",
    "a list": "[{later}]",
    "an object": '{{"at":{later}}}',
    "NaN": "NaN",
    "Infinity": "Infinity",
}


@check(
    id="TK7",
    title="A token outside its validity, or whose validity is no date, is refused",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.CRITICAL,
    references=("ASVS-9.2.1", "CWE-613", "RFC7519-4.1.4", "RFC7519-4.1.5"),
    remediation="Require `exp` to be a number in the future and `nbf`, if there, one in the past.",
    cost_s=1.0,
    tier="gentle",
)
async def validity(bench: Bench) -> None:
    """Comparing a date that is none is false, and in the wrong place false means valid.

    With the service's key tokens are signed that expired long ago and just longer ago than
    `promises.expiry_deadline_s` and the tolerance; that are not valid for another hour; whose
    `exp` is missing, a text, null, NaN, negative, beyond the promised lifetime or beyond every
    date; whose `nbf` is no number. By each way of authenticating every one must be refused.
    """
    signed, key = await bench.signed("subscribe"), await bench.server.tokens.key()
    now = int(time.time())
    later = now + _LONG_S
    promised = bench.promises.expiry_deadline_s
    lag = _LONG_S if promised is None else promised + bench.promises.tolerance_s + 1
    forged = {
        "expired an hour ago": _with(signed, key, exp=now - _LONG_S, iat=now - 2 * _LONG_S),
        "expired just now": _with(signed, key, exp=int(now - lag), iat=now - _LONG_S),
        "expired at the epoch": _with(signed, key, exp=0),
        "expired before the epoch": _with(signed, key, exp=-later),
        "valid in an hour": _with(signed, key, nbf=later, exp=later + _LONG_S),
        "no exp": _raw(signed, key, "exp", None),
    }
    for name, value in _NO_DATES.items():
        text = value.format(later=later)
        forged[f"exp: {name}"] = _raw(signed, key, "exp", text)
        if name != "null":  # may count as absent, which `nbf` may be
            forged[f"nbf: {name}"] = _raw(signed, key, "nbf", text.replace(str(later), str(now)))
    longest = bench.promises.max_token_lifetime_s
    if longest is not None:
        too_late = int(now + longest + _LONG_S)
        forged["longer than promised"] = _with(signed, key, exp=too_late)
        for name, text in {
            "2^53": "9007199254740993",
            "2^64": str(2**64),
            "1e400": "1e400",
        }.items():
            forged[f"exp: {name}"] = _raw(signed, key, "exp", text)
    await try_forged(bench, signed.token, forged, bench.answer("expired"))


@check(
    id="TK8",
    title="A token for another audience, of another issuer, or of nobody is refused",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.CRITICAL,
    references=("ASVS-9.2.3", "CWE-287", "RFC8725-3.8", "RFC8725-3.9"),
    remediation="Compare `aud` and `iss` whole with one's own, and require a `sub`.",
    cost_s=0.8,
    tier="gentle",
)
async def purpose(bench: Bench) -> None:
    """A token that was issued for another service opens only that one.

    With the service's key tokens are signed whose `aud` and `iss` are another's, longer, shorter,
    in another case, empty, missing, no text; lists without the right audience; and whose `sub` is
    missing, empty or no text. Claims that the profile's tokens do not have are left out. By each
    way of authenticating every one must be refused.
    """
    signed, key = await bench.signed("subscribe"), await bench.server.tokens.key()
    forged: dict[str, str] = {}
    for name in ("aud", "iss"):
        if name not in signed.claims:
            continue
        right = str(signed.claims[name])
        wrong: dict[str, Any] = {
            "another's": "https://else.example",
            "longer": f"{right}-else",
            "longer in front": f"else-{right}",
            "shorter": right[:-1],
            "in another case": right.swapcase(),
            "a blank behind": f"{right} ",
            "empty": "",
            "null": None,
            "a number": 1,
            "true": True,
            "an object": {right: right},
            "a list of others": ["https://else.example", f"{right}-else"],
            "an empty list": [],
        }
        for variant, value in wrong.items():
            if value == right:  # without letters there is no other case
                continue
            forged[f"{name}: {variant}"] = _with(signed, key, **{name: value})
        forged[f"no {name}"] = _raw(signed, key, name, None)
    if "sub" in signed.claims:
        for variant, value in {"empty": "", "null": None, "a number": 7, "a list": ["x"]}.items():
            forged[f"sub: {variant}"] = _with(signed, key, sub=value)
        forged["no sub"] = _raw(signed, key, "sub", None)
    if not forged:
        bench.cannot_tell("the profile's `signing.claims` has neither aud, iss nor sub")
    await try_forged(bench, signed.token, forged)


def _with(signed: Signed, key: Key, **claims: Any) -> str:
    """Return the token with some claims in place of its own, signed."""
    return jws.sign(signed.header, {**signed.claims, **claims}, key.secret, key.algorithm)


def _raw(signed: Signed, key: Key, name: str, text: str | None) -> str:
    """Return the token, signed, with JSON text (None: nothing) in place of one claim's value."""
    claims = {each: value for each, value in signed.claims.items() if each != name}
    content = json.dumps(claims)
    if text is not None:
        content = f'{content[:-1]}, "{name}": {text}}}'
    return jws.sign(signed.header, content.encode(), key.secret, key.algorithm)
