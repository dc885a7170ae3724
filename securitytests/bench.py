"""What a check works with: connections, tokens, the profile's promises, and a place for verdicts.

A `Bench` belongs to one run of one check. Each connection comes from an address of its own unless
the check says otherwise, so that the service's limits never interfere. Everything opened is
closed when the check ends.
"""

import asyncio
import contextlib
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, NoReturn

from monitor.contract.findings import Observation
from monitor.contract.profile import Method, TokenKind
from monitor.contract.promises import Answer, Promises, Situation
from monitor.contract.target import Credentials
from monitor.contract.verdicts import Verdict
from securitytests.judging import Attempt, CannotTellError, Judgement, NotApplicableError
from securitytests.probe import http
from securitytests.probe.client import Client, NotServedError, event_of
from securitytests.probe.peer import Ending, Handshake, Peer
from securitytests.probe.stream import (
    PATIENCE_S,
    Endpoint,
    NoSocketError,
    Stream,
    StreamEndedError,
    UnreachableError,
)
from securitytests.probe.transcript import Transcript, trying
from securitytests.server import Server
from securitytests.tokens import Signed
from securitytests.watch import Watched, watching

#: How long a service that shows no mark of success is watched before it counts as accepting.
UNMARKED_S = 0.5

#: How long a client listens beside a check at most.
_LISTENED_S = 120.0

#: What hinders the trying of a variant, and says nothing of the service.
_ENDS_A_VARIANT = (
    CannotTellError,
    NoSocketError,
    UnreachableError,
    StreamEndedError,
    NotServedError,
)


class Bench:
    """The workplace of one check on one server."""

    def __init__(self, server: Server, check: str) -> None:
        self.server = server
        self.target = server.target
        self.promises: Promises = server.target.promises
        self.transcript = Transcript(check)
        self.observations: list[Observation] = []
        self.figures: dict[str, float] = {}
        self._run = f"wsp-{secrets.token_hex(4)}"
        self._numbers = itertools.count(1)
        self._connections = itertools.count(1)
        self._streams: list[Stream] = []
        self._listening: list[asyncio.Task[Ending]] = []

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
            return signed.token, self.now() + left
        source = self.target.tokens.get("short_lived")
        if source is None or source.lifetime_s is None:
            raise CannotTellError("the profile has neither `signing` nor `tokens.short_lived`")
        token = await asyncio.to_thread(self.server.launch.token, "short_lived")
        self.transcript.protect(token or "")
        return token or "", self.now() + source.lifetime_s

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

    # Connections

    def address(self) -> str | None:
        """Return a source address nobody has used; None where there is no choice."""
        return self.server.addresses.take()

    def own_address(self) -> str:
        """Return a source address of one's own, for checks that count by address.

        Raises:
            CannotTellError: the target is not reached through IPv4 loopback.
        """
        address = self.address()
        if address is None:
            raise CannotTellError("the target is not on 127.0.0.0/8: no source addresses to choose")
        return address

    async def connect(
        self,
        source: str | None = None,
        *,
        endpoint: Endpoint | None = None,
        kernel_buffer_bytes: int | None = None,
    ) -> Peer:
        """Open a TCP (or TLS) connection and say nothing, from `source` or a fresh address.

        `endpoint` is the service's own, unless TLS is to be spoken otherwise.
        """
        self.server.budget.spend()
        stream = await Stream.open(
            endpoint or self.server.endpoint,
            self.transcript,
            next(self._connections),
            source or self.address(),
            kernel_buffer_bytes=kernel_buffer_bytes,
        )
        self._streams.append(stream)
        return Peer(stream)

    def credentials(self, token: str | None, method: Method | None = None) -> Credentials:
        """Spell a token for this service."""
        return self.target.credentials(token, method)

    def handshake_request(
        self,
        credentials: Credentials | None = None,
        headers: Iterable[tuple[str, str]] = (),
        *,
        query: str = "",
    ) -> http.Request:
        """Return a correct opening handshake with these credentials, to be bent at will.

        `query` is added to the query of the URL.
        """
        endpoint = self.server.endpoint
        presented = credentials or Credentials(self.target.url, {}, None)
        path, _, given = endpoint.target.partition("?")
        headers = tuple(headers)
        if not any(name.lower() == "origin" for name, _ in headers):
            headers += self._needed_origin()
        added = presented.url.removeprefix(self.target.url).lstrip("?&")
        joined = "&".join(filter(None, (given, added, query)))
        return http.websocket_request(
            endpoint.host,
            path + (f"?{joined}" if joined else ""),
            http.new_key(),
            (*presented.headers.items(), *headers),
        )

    def own_origin(self) -> str:
        """Return the origin of the service's own pages, from its URL."""
        scheme = "https" if self.server.endpoint.tls else "http"
        return f"{scheme}://{self.server.endpoint.host}"

    def _needed_origin(self) -> tuple[tuple[str, str], ...]:
        """Return the Origin of an allowed page, if the service refuses whoever shows none."""
        origins = self.target.origins
        if origins.missing == "accepted" or not origins.allowed:
            return ()
        return (("Origin", origins.allowed[0].replace("{own}", self.own_origin())),)

    def page_request(
        self, path: str, token: str | None = None, headers: Iterable[tuple[str, str]] = ()
    ) -> http.Request:
        """Return a GET of a page, with a token in the profile's header if one is given."""
        spelled = self.target.authentication
        shown = (
            ()
            if token is None
            else ((spelled.header_name, spelled.header_value.replace("{token}", token)),)
        )
        return http.Request(path, (("Host", self.server.endpoint.host), *shown, *headers))

    async def ask(self, request: http.Request, source: str | None = None) -> Handshake:
        """Send one HTTP request on a connection of its own; return the answer, and close."""
        peer = await self.connect(source)
        answer = await peer.request(request)
        peer.stream.close()
        return answer

    async def attempt(
        self,
        token: str | None,
        method: Method,
        *,
        source: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        watch_s: float | None = None,
    ) -> Attempt:
        """Try to come in with a token (None: with none) by one of the ways; return what came.

        Watched until success shows, the connection ends, or `watch_s` have passed.
        """
        credentials = self.credentials(token, method)
        return await self.attempt_with(
            self.handshake_request(credentials, headers),
            credentials.message,
            method,
            source=source,
            watch_s=watch_s,
        )

    async def attempt_with(
        self,
        request: http.Request,
        message: str | None,
        method: str,
        *,
        source: str | None = None,
        watch_s: float | None = None,
    ) -> Attempt:
        """Try to come in with a request and a first message made to order.

        Who is refused hangs up, so that many tries of one address take up no slots.
        """
        peer = await self.connect(source)
        handshake = await peer.request(request)
        if not handshake.upgraded:
            peer.stream.close()
            return Attempt(method, handshake, accepted=False)
        if message is not None:
            await peer.send_text(message)
        mark = self.target.authentication.accepted
        patience = watch_s if watch_s is not None else PATIENCE_S if mark else UNMARKED_S
        ending = await peer.until_end(patience, stop_at=mark)
        taken = any(mark in text for text in ending.texts) if mark else not ending.ended
        if ending.ended:
            peer.stream.close()
        return Attempt(method, handshake, taken, ending, ending.texts)

    async def client(
        self,
        kind: TokenKind = "subscribe",
        *,
        token: str | None = None,
        method: Method | None = None,
        source: str | None = None,
        kernel_buffer_bytes: int | None = None,
    ) -> Client:
        """Return an honest client, authenticated, and subscribed if it is of kind "subscribe".

        Raises:
            NotServedError: the service did not serve it.
        """
        credentials = self.credentials(token or await self.token(kind), method)
        peer = await self.connect(source, kernel_buffer_bytes=kernel_buffer_bytes)
        handshake = await peer.request(self.handshake_request(credentials))
        if not handshake.upgraded:
            raise NotServedError(f"handshake: expected HTTP 101, got {handshake}")
        client = Client(peer, self.target)
        await client.authenticate(credentials.message, PATIENCE_S)
        if kind == "subscribe":
            await client.subscribe(PATIENCE_S)
        return client

    def mark(self) -> str:
        """Return a text that stands nowhere else, to be carried by an event."""
        return f"{self._run}-{next(self._numbers)}"

    def event(self, identifier: str | None = None, **fields: Any) -> dict[str, Any]:
        """Return an event the service accepts, with a mark of ours as its identifier."""
        return event_of(self.target, identifier or self.mark(), **fields)

    async def pair(self) -> "HonestPair":
        """Return an honest publisher and an honest subscriber."""
        # Both tokens first: while a command prints one, nobody would answer the pings of the other.
        await self.token("publish")
        subscriber = await self.client("subscribe")
        return HonestPair(self, await self.client("publish"), subscriber)

    def listen(self, client: Client, stop_at: str) -> "asyncio.Task[Ending]":
        """Have a client listen beside the check, answering pings, until it hears `stop_at`.

        `heard` tells what it heard.
        """
        listening = asyncio.create_task(client.peer.until_end(_LISTENED_S, stop_at=stop_at))
        self._listening.append(listening)
        return listening

    async def heard(self, listening: "asyncio.Task[Ending]", within: float = PATIENCE_S) -> Ending:
        """Return what was heard; silence if the listening is not over within the time."""
        done, _ = await asyncio.wait({listening}, timeout=within)
        return listening.result() if done else Ending("silence", within)

    # Observing and judging

    def now(self) -> float:
        """Return monotonic seconds (loop time)."""
        return asyncio.get_running_loop().time()

    @contextlib.asynccontextmanager
    async def watching(self, prefix: str = "attack") -> AsyncIterator[Watched]:
        """Watch the service and an honest pair while the block runs; figures go to the evidence."""
        pair = await self.pair()
        async with watching(self.server.process, pair, self.now) as seen:
            yield seen
        self.figures.update(seen.figures(prefix))

    @contextlib.contextmanager
    def variant(self, name: str) -> Iterator[None]:
        """Name what the block tries. What hinders the trying makes this variant INCONCLUSIVE."""
        with trying(name):
            try:
                yield
            except _ENDS_A_VARIANT as error:
                self.judge(Judgement(Verdict.INCONCLUSIVE, "the variant can be tried", str(error)))

    def judge(self, *judgements: Judgement) -> None:
        """Record judgements for the variant under way."""
        for one in judgements:
            self.observations.append(
                Observation(
                    variant=self.transcript.variant,
                    verdict=one.verdict,
                    expected=one.expected,
                    actual=self.transcript.redact(one.actual),
                )
            )

    def cannot_tell(self, reason: str) -> NoReturn:
        """Leave the check INCONCLUSIVE.

        Raises:
            CannotTellError: always.
        """
        raise CannotTellError(reason)

    def not_applicable(self, reason: str) -> NoReturn:
        """Leave a baseline check: the profile shows that there is nothing to check.

        Raises:
            NotApplicableError: always.
        """
        raise NotApplicableError(reason)

    async def close(self) -> None:
        """Drop every connection that is still open, and listen no more."""
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)
        self._listening.clear()
        await asyncio.gather(*(stream.closed() for stream in self._streams))
        self._streams.clear()


class HonestPair:
    """A publisher and a subscriber that behave: the bracket, and the canary of attacks."""

    def __init__(self, bench: Bench, publisher: Client, subscriber: Client) -> None:
        self.publisher = publisher
        self.subscriber = subscriber
        self.interval_s = _interval_s(bench.promises)
        self._bench = bench

    async def measure(self, within: float = PATIENCE_S) -> float:
        """Publish an event; return how long until it arrived, in seconds.

        Raises:
            NotServedError: it was refused, or did not arrive within the time.
        """
        identifier = self._bench.mark()
        started = self._bench.now()
        published, arrived = await asyncio.gather(
            self.publisher.publish(self._bench.event(identifier), within),
            self._arrived(identifier, within),
            return_exceptions=True,
        )
        if isinstance(published, BaseException):
            raise published
        if isinstance(arrived, BaseException):
            raise arrived
        return arrived - started

    async def _arrived(self, identifier: str, within: float) -> float:
        await self.subscriber.expect(identifier, within)
        return self._bench.now()


def _interval_s(promises: Promises) -> float:
    """Return a pause between honest publications that stays well within the promises."""
    if "publication" in promises.counted and promises.requests_per_window is not None:
        return 2 * promises.window_s / promises.requests_per_window
    return 0.02
