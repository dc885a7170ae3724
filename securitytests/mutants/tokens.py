"""Flaws of token verification: the signature, and the algorithm it is made with."""

import re
from collections.abc import Callable
from typing import Any

from securitytests.check import Claim
from securitytests.mutants import verifying
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_KEY = "monitor.tokens:_key"
_SIGNED = "monitor.tokens:_signed_claims"
_PINNED = "if header.alg != ALGORITHM:"
_ALLOWED = "algorithms=[ALGORITHM])"
_COMPACT = "monitor.tokens:_COMPACT"
_PART = "[A-Za-z0-9_-]"
_HERE = "__import__('securitytests.mutants.verifying', fromlist=['tokens'])"


def _signature_of(patch: Patch, characters: str) -> None:
    """Let a signature have other lengths; `characters` ends a pattern."""
    pattern = rf"{_PART}{{2,}}\.{_PART}{{2,}}\.{characters}"
    patch.value(_COMPACT, re.compile(pattern, re.ASCII))


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK1",), may=("AU8",))
def half_of_the_signature(patch: Patch) -> None:
    """Only the first half of the signature is compared."""
    patch.text(
        "jwt.algorithms:HMACAlgorithm.verify",
        "hmac.compare_digest(sig, self.sign(msg, key))",
        "hmac.compare_digest(sig[:16], self.sign(msg, key)[:16])",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK1",))
def signatures_are_remembered(patch: Patch) -> None:
    """A signature that was good once is good for whatever it stands behind."""

    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        good: set[str] = set()

        def verified(token: str, secret: bytes) -> Any:
            signature = token.rpartition(".")[2]
            if signature in good:
                return verifying.claims_of(token)
            claims = original(token, secret)
            good.add(signature)
            return claims

        return verified

    patch.wrap(_SIGNED, wrapper)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK1",), may=("TK*", "AU2", "AU8"))
def first_messages_are_believed(patch: Patch) -> None:
    """The signature of a token in the first message is not looked at."""
    patch.text(
        "monitor.session:Session._first",
        "self._rules.verify(message.token)",
        f"{_HERE}.grant_of(message.token)",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK1",), may=("TK*", "AU2", "AU8"))
def urls_are_believed(patch: Patch) -> None:
    """The signature of a token in the URL is not looked at; in header and message it is."""
    verifying.mark_tokens_of_urls(patch)
    verifying.accept_also(patch, lambda token, _: isinstance(token, verifying.FromUrl))


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK1",))
def first_byte_of_the_key(patch: Patch) -> None:
    """The key lost its first byte somewhere, and both are good."""
    verifying.accept_also(patch, lambda token, secret: verifying.signed_with(token, secret[1:]))


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK2",), may=("TK*",))
def unsigned_tokens(patch: Patch) -> None:
    """A token with `alg` none, in any case, needs no signature."""
    _signature_of(patch, f"({_PART}{{43}})?")
    patch.text(_KEY, _PINNED, "if header.alg != ALGORITHM and header.alg.lower() != 'none':")
    patch.text(
        _SIGNED,
        _ALLOWED,
        "algorithms=[ALGORITHM], options={'verify_signature': not token.endswith('.')})",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK2",))
def missing_signatures(patch: Patch) -> None:
    """Under the right algorithm a signature may be missing."""
    _signature_of(patch, f"({_PART}{{43}})?")
    verifying.accept_also(patch, lambda token, _: token.endswith("."))


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK2",), may=("TK*",))
def unsigned_tokens_with_a_signature(patch: Patch) -> None:
    """`none` is refused, but for a spelling nobody thought of, whatever the signature."""
    patch.text(_KEY, _PINNED, "if header.alg not in (ALGORITHM, 'nOnE', 'none'):")
    verifying.accept_also(patch, lambda token, _: b"none" in verifying.part(token, 0).lower())


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK3",), may=("TK4",))
def number_of_the_algorithm(patch: Patch) -> None:
    """Of the header's algorithm only the number is looked at: RS256 is verified as HS256."""
    patch.text(_KEY, _PINNED, "if header.alg[-3:] != ALGORITHM[-3:]:")
    verifying.check_only_the_hmac(patch)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK3",))
def public_key_as_secret(patch: Patch) -> None:
    """RS256 is allowed as well, and its key is the secret's bytes."""
    patch.text(_KEY, _PINNED, "if header.alg not in (ALGORITHM, 'RS256'):")
    verifying.check_only_the_hmac(patch)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK4",))
def every_hmac(patch: Patch) -> None:
    """Every algorithm of the family is allowed."""
    _signature_of(patch, f"{_PART}{{43,86}}")
    patch.text(_KEY, _PINNED, "if header.alg not in ('HS256', 'HS384', 'HS512'):")
    patch.text(_SIGNED, _ALLOWED, "algorithms=['HS256', 'HS384', 'HS512'])")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK4",))
def names_of_the_family(patch: Patch) -> None:
    """The header may name any algorithm of the family, as long as the pinned one was used."""
    patch.text(_KEY, _PINNED, "if not header.alg.startswith('HS'):")
    verifying.check_only_the_hmac(patch)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK4",))
def algorithm_without_case(patch: Patch) -> None:
    """The algorithm is compared without case."""
    patch.text(_KEY, _PINNED, "if header.alg.upper() != ALGORITHM:")
    verifying.check_only_the_hmac(patch)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK4",))
def algorithm_may_be_missing(patch: Patch) -> None:
    """A header without an algorithm means the pinned one."""
    verifying.read_header_so(patch, lambda header: header.setdefault("alg", "HS256"))
    verifying.check_only_the_hmac(patch)


def _known_only(header: dict[str, Any]) -> None:
    """Leave out of a header what nobody reads."""
    for name in header.keys() - {"alg", "kid", "typ"}:
        del header[name]


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK5",))
def critical_headers_are_ignored(patch: Patch) -> None:
    """What a header calls critical is not looked at."""
    verifying.read_header_so(patch, _known_only)
    verifying.check_only_the_hmac(patch)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK5",))
def first_critical_header_only(patch: Patch) -> None:
    """Of what a header calls critical only the first is looked at."""

    def judge(header: dict[str, Any]) -> None:
        if header.get("crit", ["exp"])[0] not in {"exp", "nbf"}:
            raise ValueError("unknown")
        _known_only(header)

    verifying.read_header_so(patch, judge)
    verifying.check_only_the_hmac(patch)
