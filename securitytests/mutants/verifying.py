"""Verification as careless services write it: what the flaws of tokens are made of. No mutants.

The monitor is imported when a flaw is at work, never on reading this module.
"""

import base64
import hashlib
import hmac
import importlib
import json
import time
from collections.abc import Callable
from typing import Any

import msgspec

from securitytests.mutants.patch import Patch

SIGNED_CLAIMS = "monitor.tokens:_signed_claims"

_HASHES = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


class FromUrl(str):
    """A token that stood in a URL."""

    __slots__ = ()


def mark_tokens_of_urls(patch: Patch) -> None:
    """Have tokens that stood in a URL come as `FromUrl`."""
    here = f"__import__('{__name__}', fromlist=['tokens'])"
    patch.text(
        "monitor.handshake:read", "in_query = [value for", f"in_query = [{here}.FromUrl(value) for"
    )


def tokens() -> Any:
    """Return the monitor's own module."""
    return importlib.import_module("monitor.tokens")


def part(token: str, number: int) -> bytes:
    """Return what one of the three parts of a token holds."""
    segment = token.split(".")[number]
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def signed_with(token: str, secret: bytes, number: str = "256") -> bool:
    """Tell whether the signature is the HMAC under `secret`, with the hash of this number."""
    content = token.rpartition(".")[0].encode()
    made = hmac.new(secret, content, _HASHES[number]).digest()
    return hmac.compare_digest(part(token, 2), made)


def claims_of(token: str) -> Any:
    """Return the claims, whatever the signature is worth.

    Raises:
        TokenError: they are no good by themselves.
    """
    module = tokens()
    try:
        return module._claims.decode(part(token, 1))
    except (ValueError, msgspec.MsgspecError):
        raise module.TokenError(module.TokenFault.CLAIMS) from None


def grant_of(token: str) -> Any:
    """Return what a token would grant if its signature were good.

    Raises:
        TokenError: its claims are no good either.
    """
    module = tokens()
    try:
        header = json.loads(part(token, 0))
        return module._grant(claims_of(token), str(header.get("kid")), time.time())
    except (ValueError, IndexError):
        raise module.TokenError(module.TokenFault.MALFORMED) from None


def check_only_the_hmac(patch: Patch) -> None:
    """Verify an HMAC with SHA-256 and read nothing of the header meanwhile.

    For flaws in reading the header that the JWT library would catch once more.
    """

    def wrapper(_: Callable[..., Any]) -> Callable[..., Any]:
        def verified(token: str, secret: bytes) -> Any:
            if signed_with(token, secret):
                return claims_of(token)
            raise tokens().TokenError(tokens().TokenFault.SIGNATURE)

        return verified

    patch.wrap(SIGNED_CLAIMS, wrapper)


def accept_also(patch: Patch, good: Callable[[str, bytes], bool]) -> None:
    """Take a token's claims without further ado if `good(token, secret)`."""

    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def verified(token: str, secret: bytes) -> Any:
            return claims_of(token) if good(token, secret) else original(token, secret)

        return verified

    patch.wrap(SIGNED_CLAIMS, wrapper)


class _Reading:
    """Stands for a decoder: changes the object read before it is taken for one of `kind`."""

    def __init__(self, kind: str, change: Callable[[dict[str, Any]], object]) -> None:
        self._kind = kind
        self._change = change

    def decode(self, content: bytes) -> Any:
        try:
            read = json.loads(content)
            self._change(read)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise msgspec.DecodeError(str(error)) from None
        return msgspec.convert(read, getattr(tokens(), self._kind))


def read_header_so(patch: Patch, change: Callable[[dict[str, Any]], object]) -> None:
    """Let `change` change the header of a token before it is judged."""
    patch.value("monitor.tokens:_header", _Reading("_Header", change))


def read_claims_so(patch: Patch, change: Callable[[dict[str, Any]], object]) -> None:
    """Let `change` change the claims of a token before they are judged."""
    patch.value("monitor.tokens:_claims", _Reading("_Claims", change))


def choose_key_so(patch: Patch, secret_of: Callable[[dict[str, Any]], bytes | None]) -> None:
    """Verify with what `secret_of(header)` returns; None: with the key of the table."""

    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def chosen(keys: Any, segment: str, now: float) -> Any:
            try:
                secret = secret_of(json.loads(part(segment, 0)))
            except (ValueError, TypeError, AttributeError, LookupError, OSError):
                secret = None
            if secret is None:
                return original(keys, segment, now)
            return msgspec.structs.replace(keys.keys[keys.current], secret=secret)

        return chosen

    patch.wrap("monitor.tokens:_key", wrapper)
    check_only_the_hmac(patch)
