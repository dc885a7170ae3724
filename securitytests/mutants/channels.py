"""Flaws of side channels: comparisons that end where the first letter is wrong."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any

import jwt

from securitytests.mutants import verifying
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_QUARTER = 11


def _signature(token: str, secret: bytes) -> str:
    content = token.rpartition(".")[0].encode()
    made = hmac.new(secret, content, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def _letters(token: str, secret: bytes) -> Iterator[bool]:
    """Yield for each letter of the signature whether it is right, signing anew for each."""
    claims = verifying.part(token, 1)
    header = json.loads(verifying.part(token, 0))
    for at, letter in enumerate(token.rpartition(".")[2]):
        made = jwt.PyJWS().encode(claims, secret, header["alg"], header)
        yield letter == made.rpartition(".")[2][at]


def _quarters(token: str, secret: bytes) -> Iterator[bool]:
    """Yield for each quarter of the signature whether its slow hash is right."""
    given, made = token.rpartition(".")[2], _signature(token, secret)
    for at in range(0, len(given), _QUARTER):
        pieces = (text[at : at + _QUARTER].encode() for text in (given, made))
        first, second = (hashlib.pbkdf2_hmac("sha256", piece, secret, 200) for piece in pieces)
        yield first == second


def _compare_first(
    patch: Patch, parts: Callable[[str, bytes], Iterator[bool]], kind: type[str] = str
) -> None:
    """Compare the parts of a token's signature, up to the first wrong one, before all else."""

    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def verified(token: str, secret: bytes) -> Any:
            if isinstance(token, kind) and not all(parts(token, secret)):
                raise verifying.tokens().TokenError(verifying.tokens().TokenFault.SIGNATURE)
            return original(token, secret)

        return verified

    patch.wrap(verifying.SIGNED_CLAIMS, wrapper)


@mutant(claim=None, caught_by=("SC1",), may=("TK10",))
def letters_are_compared_in_turn(patch: Patch) -> None:
    """A signature is compared letter by letter, up to the first wrong one."""
    _compare_first(patch, _letters)


@mutant(claim=None, caught_by=("SC1",), may=("TK10",))
def quarters_of_url_tokens_are_compared(patch: Patch) -> None:
    """Of tokens in the URL slow hashes of the signature's quarters are compared in turn."""
    verifying.mark_tokens_of_urls(patch)
    _compare_first(patch, _quarters, verifying.FromUrl)
