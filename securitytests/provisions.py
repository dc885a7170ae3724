"""What a check takes from the profile and from the server: promises, answers, tokens, commands.

Opens no connection to the service.
"""

import asyncio
import time
from typing import Any

from monitor.contract.profile import Method, TokenKind
from monitor.contract.promises import Answer, Promises, Situation
from securitytests.judging import CannotTellError
from securitytests.probe.transcript import Transcript
from securitytests.server import Server
from securitytests.tokens import Signed


class Provisions:
    """What is provided for one check on one server; what it must not show is redacted.

    Args:
        server: the service under audit.
        transcript: where tokens are protected and commands noted.
    """

    def __init__(self, server: Server, transcript: Transcript) -> None:
        self.server = server
        self.target = server.target
        self.promises: Promises = server.target.promises
        self.transcript = transcript

    # What the profile says

    @property
    def methods(self) -> tuple[Method, ...]:
        """The ways of authenticating the service offers.

        Raises:
            CannotTellError: it offers none, or the profile is silent.
        """
        methods = self.target.authentication.methods
        if not methods:
            raise CannotTellError("the profile has no `authentication.methods`")
        return methods

    def promised(self, name: str) -> float:
        """Return a promise of the profile, such as `idle_timeout_s`.

        Raises:
            CannotTellError: nothing is promised.
        """
        value = getattr(self.promises, name)
        if value is None:
            raise CannotTellError(f"the profile has no `promises.{name}`; state it, or decline")
        return float(value)

    def answer(self, situation: Situation) -> Answer:
        """Return what the service may answer in a situation.

        Raises:
            CannotTellError: the profile does not say.
        """
        answer = self.target.answers.get(situation)
        if answer is None:
            raise CannotTellError(f"the profile has no `answers.{situation}`; say how it refuses")
        return answer

    # Tokens

    async def token(self, kind: TokenKind = "subscribe") -> str | None:
        """Return a good token of this kind; None if the service asks for none.

        The profile's own, the same for all who ask; or, where the profile gives the signing key
        and no source of this kind, one made with it.
        """
        signable = {"subscribe", "publish", "admin"} - self.target.tokens.keys()
        if kind in signable and self.server.tokens.can_sign:
            return (await self.signed(kind)).token
        token = await self.server.tokens.obtain(kind)
        self.transcript.protect(token or "")
        return token

    async def signed(self, kind: str = "subscribe", **claims: Any) -> Signed:
        """Return a good token signed here with the service's key; see `Tokens.sign`."""
        signed = await self.server.tokens.sign(kind, **claims)
        self.transcript.protect(signed.token)
        return signed

    async def short_lived(self, kind: str, ttl_s: float = 1.0) -> tuple[str, float]:
        """Return a token that expires soon, and when: loop time.

        Signed here for a whole second at least `ttl_s` ahead, or the profile's `short_lived`.
        """
        if self.server.tokens.can_sign:
            signed = await self.signed(kind, ttl_s=ttl_s)
            left = float(signed.claims["exp"]) - time.time()
            return signed.token, asyncio.get_running_loop().time() + left
        source = self.target.tokens.get("short_lived")
        if source is None or source.lifetime_s is None:
            raise CannotTellError("the profile has neither `signing` nor `tokens.short_lived`")
        token = await asyncio.to_thread(self.server.launch.token, "short_lived")
        self.transcript.protect(token or "")
        return token or "", asyncio.get_running_loop().time() + source.lifetime_s

    async def revoke(self, token: str) -> None:
        """Revoke a token with the profile's command."""
        await self._command("revoke", token=token)

    async def disable(self, subject: str) -> None:
        """Disable a subject with the profile's command."""
        await self._command("disable", subject=subject)

    async def _command(self, name: str, **values: str) -> None:
        command = getattr(self.target.commands, name)
        if command is None:
            raise CannotTellError(f"the profile has no `commands.{name}`")
        self.transcript.note(0, "note", f"{name} …")
        where = f"target profile {self.target.path}: key `commands.{name}`"
        await asyncio.to_thread(self.server.launch.run, command, where, **values)
        self.transcript.note(0, "note", f"{name}: done")
