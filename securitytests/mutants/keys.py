"""Flaws of keys: which one verifies a token, and what it is made of."""

import base64
import sqlite3
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from securitytests.check import Claim
from securitytests.mutants import verifying
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_FRESH = "monitor.keys:_fresh"
_RANDOM = "secrets.token_bytes(SECRET_BYTES)"


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK6",))
def brought_keys_are_used(patch: Patch) -> None:
    """A token is verified with the key its header brings along."""

    def secret_of(header: dict[str, Any]) -> bytes | None:
        if "jwk" not in header:
            return None
        key: str = header["jwk"]["k"]
        return base64.urlsafe_b64decode(key + "=" * (-len(key) % 4))

    verifying.choose_key_so(patch, secret_of)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK6",))
def key_ids_are_paths(patch: Patch) -> None:
    """An unknown key id is a file beside the key file."""

    def secret_of(header: dict[str, Any]) -> bytes | None:
        file = Path("/tmp") / header["kid"]  # noqa: S108 - stands for the folder of keys
        return file.read_bytes() if "/" in header["kid"] and file.exists() else None

    verifying.choose_key_so(patch, secret_of)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK6",))
def key_ids_are_queried(patch: Patch) -> None:
    """An unknown key id becomes part of a query."""

    def secret_of(header: dict[str, Any]) -> bytes | None:
        table = sqlite3.connect(":memory:")
        table.execute("CREATE TABLE keys (id TEXT, secret TEXT)")
        with suppress(sqlite3.Error):
            query = f"SELECT secret FROM keys WHERE id = '{header['kid']}'"  # noqa: S608 - the flaw
            for (secret,) in table.execute(query):
                return str(secret).encode()
        return None

    verifying.choose_key_so(patch, secret_of)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK6",), may=("TK9",))
def unknown_keys_are_empty(patch: Patch) -> None:
    """An unknown key id leads to no key, and no key is an empty one."""

    def secret_of(header: dict[str, Any]) -> bytes | None:
        return b"" if header["kid"] == "attacker" else None

    verifying.choose_key_so(patch, secret_of)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK6",))
def key_urls_are_fetched(patch: Patch) -> None:
    """The URL of a key in the header is fetched, though what it yields is not used."""

    def fetch(header: dict[str, Any]) -> None:
        if "jku" in header:
            with suppress(OSError):
                urllib.request.urlopen(header.pop("jku"), timeout=1)  # noqa: S310 - the flaw

    verifying.read_header_so(patch, fetch)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK9",))
def secret_of_an_example(patch: Patch) -> None:
    """Beside its own key the server accepts that of the example it was copied from."""
    verifying.accept_also(
        patch, lambda token, _: verifying.signed_with(token, b"your-256-bit-secret")
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK9",))
def issuer_as_secret(patch: Patch) -> None:
    """A token signed with the issuer's name is accepted."""
    verifying.accept_also(patch, lambda token, _: verifying.signed_with(token, b"wsproof"))


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK9",), may=("TK6",))
def no_secret(patch: Patch) -> None:
    """A token signed with an empty key is accepted."""
    verifying.accept_also(patch, lambda token, _: verifying.signed_with(token, b""))


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK11",))
def short_keys(patch: Patch) -> None:
    """Keys are generated with 128 bits, half of what the algorithm asks for."""
    patch.value("monitor.keys:SECRET_BYTES", 16)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK11",))
def stretched_keys(patch: Patch) -> None:
    """Keys have 256 bits, repeated from 32."""
    patch.text(_FRESH, _RANDOM, "secrets.token_bytes(4) * 8")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("TK11",))
def the_same_key_everywhere(patch: Patch) -> None:
    """Keys look random, and are the same at every first start."""
    patch.text(_FRESH, _RANDOM, "__import__('random').Random('monitor').randbytes(SECRET_BYTES)")
