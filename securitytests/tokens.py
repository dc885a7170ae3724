"""Tokens for the checks: those the profile can obtain, and those signed with the service's key.

Where the profile gives the signing key, tokens are made here, in microseconds and with exactly
the lifetime and claims a check needs. Without it a check has what the profile's commands yield,
and attacks on the signature cannot be told from any bad token: they are INCONCLUSIVE.
"""

import asyncio
import base64
import binascii
import json
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from monitor.contract.launch import Launch
from monitor.contract.profile import Signing, TokenKind
from monitor.contract.target import fill
from monitor.contract.verdicts import UsageError
from securitytests.judging import CannotTellError
from securitytests.probe import jws


class Key(msgspec.Struct, frozen=True):
    """A service's signing key, and the id it has in the service's key table."""

    secret: bytes
    key_id: str
    algorithm: str


class Signed(msgspec.Struct, frozen=True):
    """A token with what it was made of, so that a check can spoil one part of it."""

    token: str
    header: dict[str, Any]
    claims: dict[str, Any]


class Tokens:
    """The tokens of one running service. Obtained once a kind, unless they are short-lived."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._target = launch.target
        self._obtained: dict[str, str | None] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._key: Key | None = None

    async def obtain(self, kind: TokenKind) -> str | None:
        """Return the profile's own token of this kind, or None if the service asks for none.

        Raises:
            CannotTellError: the profile has no source for it.
            UsageError: the source yields nothing.
        """
        if not self._target.authentication.methods:
            return None
        if kind not in self._target.tokens:
            raise CannotTellError(f"the profile has no `tokens.{kind}`; say where one comes from")
        async with self._locks.setdefault(kind, asyncio.Lock()):
            if kind not in self._obtained:
                self._obtained[kind] = await asyncio.to_thread(self._launch.token, kind)
        return self._obtained[kind]

    @property
    def can_sign(self) -> bool:
        """Whether the profile gives the signing key."""
        return self._target.signing is not None

    async def key(self) -> Key:
        """Return the service's signing key.

        Raises:
            CannotTellError: the profile does not give it.
            UsageError: what the profile says of it does not lead to a key.
        """
        signing = self._target.signing
        if signing is None:
            raise CannotTellError(
                "the profile has no `signing`; without the key this shows nothing"
            )
        async with self._locks.setdefault("signing key", asyncio.Lock()):
            if self._key is None:
                self._key = await asyncio.to_thread(self._read_key, signing)
        return self._key

    async def sign(
        self,
        kind: str = "subscribe",
        *,
        subject: str | None = None,
        ttl_s: float = 3_600.0,
        issued_s_ago: float = 0.0,
    ) -> Signed:
        """Return a good token made with the service's key; its subject is fresh unless given.

        Raises:
            CannotTellError: the profile gives no key, or no scope of this kind.
        """
        key, signing = await self.key(), self._target.signing
        assert signing is not None  # noqa: S101 - `key` has looked
        scope = signing.scopes.get(kind)  # type: ignore[call-overload]
        if scope is None and signing.scopes:
            raise CannotTellError(f"the profile has no `signing.scopes.{kind}`")
        now = time.time()
        values = {
            "key_id": key.key_id,
            "subject": subject or f"audit-{secrets.token_hex(6)}",
            "scope": scope or "",
            "id": secrets.token_hex(16),
            "issued_at": str(int(now - issued_s_ago)),
            "expires_at": str(int(now + ttl_s + 0.999)),
        }
        header, claims = (
            _object(signing.headers, values, "headers"),
            _object(signing.claims, values, "claims"),
        )
        return Signed(jws.sign(header, claims, key.secret, key.algorithm), header, claims)

    def _read_key(self, signing: Signing) -> Key:
        where = f"target profile {self._target.path}: table `signing`"
        text = self._key_text(signing, where)
        secret, key_id = text, signing.key_id or ""
        if signing.secret is not None:
            try:
                document = json.loads(text)
                secret = str(_at(document, signing.secret))
                key_id = str(_at(document, signing.key_id)) if signing.key_id else ""
            except (ValueError, KeyError, IndexError, TypeError) as error:
                raise UsageError(
                    f"{where}: `secret` or `key_id` lead nowhere: {error!r}"
                ) from error
        return Key(_decoded(secret, signing.encoding, where), key_id, signing.algorithm)

    def _key_text(self, signing: Signing, where: str) -> str:
        if signing.environment is not None:
            value = os.environ.get(signing.environment, "")
            if not value:
                raise UsageError(f"{where}: the environment has no {signing.environment}; set it")
            return value
        if signing.command is not None:
            return self._launch.run(signing.command, f"{where}: `command`").strip()
        path = Path(self._launch.filled((signing.file or "",))[0])
        try:
            return path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UsageError(f"{where}: `file` {path.name}: {error.strerror}") from error


def _at(document: Any, path: str) -> Any:
    """Return what a dotted path leads to; numbers step into lists."""
    for step in path.split("."):
        document = document[int(step)] if isinstance(document, list) else document[step]
    return document


def _decoded(text: str, encoding: str, where: str) -> bytes:
    try:
        match encoding:
            case "hex":
                return bytes.fromhex(text)
            case "base64":
                return base64.b64decode(text, validate=True)
            case "base64url":
                return jws.decode_segment(text)
            case _:
                return text.encode()
    except (ValueError, binascii.Error) as error:
        raise UsageError(f"{where}: the key is not {encoding}: {error}") from error


def _object(template: str, values: Mapping[str, str], key: str) -> dict[str, Any]:
    try:
        return dict(json.loads(fill(template, values)))
    except ValueError as error:
        raise UsageError(
            f"target profile: key `signing.{key}`: not a JSON object: {error}"
        ) from error
