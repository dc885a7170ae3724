"""Flaws of a token's claims and of its size."""

from typing import Any

from securitytests.check import Claim
from securitytests.mutants import verifying
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_GRANT = "monitor.tokens:_grant"
_EXPIRED = "if now >= claims.exp:"
_LIFETIME = "if not 0 < claims.exp - claims.iat <= MAX_TTL_S + 2:"
_AUDIENCE = "claims.aud != AUDIENCE"
_ISSUER = "claims.iss != ISSUER"
_HOUR_S = 3_600


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK7",), may=("SE*",))
def a_minute_of_leeway(patch: Patch) -> None:
    """A token is good for a minute after its expiry."""
    patch.text(_GRANT, _EXPIRED, "if now >= claims.exp + 60:")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK7",), may=("AU8", "SE*"))
def expired_tokens(patch: Patch) -> None:
    """Expiry is not looked at when a token is shown."""
    patch.text(_GRANT, _EXPIRED, "if False:")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK7",))
def tokens_of_the_future(patch: Patch) -> None:
    """`nbf` is not looked at."""
    patch.text(_GRANT, "max(claims.iat, claims.nbf)", "claims.iat")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK7",))
def no_expiry_is_none(patch: Patch) -> None:
    """A token without `exp` does not expire."""
    verifying.read_claims_so(
        patch, lambda claims: claims.setdefault("exp", claims["iat"] + _HOUR_S)
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK7",))
def expiry_as_text(patch: Patch) -> None:
    """`exp` may be a number written as text."""
    verifying.read_claims_so(patch, lambda claims: claims.update(exp=int(claims["exp"])))


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK7",))
def not_a_number_never_expires(patch: Patch) -> None:
    """Comparisons with NaN are false, so a token that expires then never does."""

    def read(claims: dict[str, Any]) -> None:
        if claims["exp"] != claims["exp"]:
            claims["exp"] = claims["iat"] + _HOUR_S

    verifying.read_claims_so(patch, read)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK7",))
def beginning_may_be_anything(patch: Patch) -> None:
    """`nbf` counts only if it is a whole number."""

    def read(claims: dict[str, Any]) -> None:
        if type(claims.get("nbf")) is not int:
            claims.pop("nbf", None)

    verifying.read_claims_so(patch, read)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK7",))
def tokens_for_life(patch: Patch) -> None:
    """A token may live for longer than promised."""
    patch.text(_GRANT, _LIFETIME, "if not 0 < claims.exp - claims.iat:")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK8",), may=("AU8",))
def any_audience(patch: Patch) -> None:
    """`aud` is not looked at."""
    patch.text(_GRANT, f" or {_AUDIENCE}", "")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK8",))
def audience_by_its_beginning(patch: Patch) -> None:
    """An audience that begins as the right one is the right one."""
    patch.text(_GRANT, _AUDIENCE, "not claims.aud.startswith(AUDIENCE)")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK8",))
def audience_without_case(patch: Patch) -> None:
    """The audience is compared without case."""
    patch.text(_GRANT, _AUDIENCE, "claims.aud.lower() != AUDIENCE")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK8",), may=("AU8",))
def any_issuer(patch: Patch) -> None:
    """`iss` is not looked at."""
    patch.text(_GRANT, f"{_ISSUER} or ", "")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK8",))
def issuer_inside(patch: Patch) -> None:
    """An issuer with the right one somewhere in it is the right one."""
    patch.text(_GRANT, _ISSUER, "ISSUER not in claims.iss")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK8",))
def nobody_is_somebody(patch: Patch) -> None:
    """A token without a subject is anybody's."""
    verifying.read_claims_so(patch, lambda claims: claims.setdefault("sub", "anybody"))


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK8",))
def audience_may_be_missing(patch: Patch) -> None:
    """A token without an audience is for everybody."""
    verifying.read_claims_so(patch, lambda claims: claims.setdefault("aud", "wsproof-monitor"))


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK10",))
def patterns_before_length(patch: Patch) -> None:
    """A token's shape is looked at before its length, with a pattern that goes back."""
    look = "if len(token) > MAX_TOKEN_CHARS:"
    pattern = r"__import__('re').search(r'(?:a\\.)+$|a+$', token + '!')"
    patch.text("monitor.tokens:verify", look, f"{pattern}\n    {look}")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK10",), may=("FR*", "CN*"))
def first_messages_of_any_size(patch: Patch) -> None:
    """Who has not authenticated may send a message of any size."""
    patch.value("monitor.connection:_UNAUTHENTICATED_BYTES", 2**50)
