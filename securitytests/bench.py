"""What a check works with: connections, honest clients, and a place for verdicts.

What it takes from the profile comes from `Provisions`.

A `Bench` belongs to one run of one check. Each connection comes from an address of its own unless
the check says otherwise, so that the service's limits never interfere. Everything opened is
closed when the check ends.
"""

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, NoReturn

from monitor.contract.findings import Observation
from monitor.contract.profile import Method, TokenKind
from monitor.contract.target import Credentials
from monitor.contract.verdicts import Verdict
from securitytests.honest import HonestPair
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
from securitytests.provisions import Provisions
from securitytests.server import Server
from securitytests.watch import Watched, watching

#: How long a service that shows no mark of success is watched before it counts as accepting.
UNMARKED_S = 0.5

#: A service that has not let go of a connection so long after we did is not waited for.
_RELEASED_S = 2.0

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


class Bench(Provisions):
    """The workplace of one check on one server."""

    def __init__(self, server: Server, check: str) -> None:
        super().__init__(server, Transcript(check))
        self.observations: list[Observation] = []
        self.untried: list[str] = []
        self.figures: dict[str, float] = {}
        self._run = f"wsp-{secrets.token_hex(4)}"
        self._numbers = itertools.count(1)
        self._connections = itertools.count(1)
        self._streams: list[Stream] = []
        self._listening: list[asyncio.Task[Ending]] = []

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
        """Send one HTTP request on a connection of its own; return the answer, and close.

        From a `source` that was given it is over when the service has let go of it, so that who
        asks again from there takes up one place at a time.
        """
        peer = await self.connect(source)
        answer = await peer.request(request)
        await self._hang_up(peer, source)
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

        Who is refused hangs up, so that many tries of one address take up no places.
        """
        peer = await self.connect(source)
        handshake = await peer.request(request)
        if not handshake.upgraded:
            await self._hang_up(peer, source)
            return Attempt(method, handshake, accepted=False)
        if message is not None:
            await peer.send_text(message)
        mark = self.target.authentication.accepted
        patience = watch_s if watch_s is not None else PATIENCE_S if mark else UNMARKED_S
        ending = await peer.until_end(patience, stop_at=mark)
        taken = any(mark in text for text in ending.texts) if mark else not ending.ended
        if ending.ended:
            await self._hang_up(peer, source)
        return Attempt(method, handshake, taken, ending, ending.texts)

    async def _hang_up(self, peer: Peer, source: str | None) -> None:
        """Close; from an address that may be used again, wait until its place is free."""
        if source is None:
            peer.stream.close()
        else:
            await peer.stream.released(_RELEASED_S)

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
        """Return a text for an event to carry that stands nowhere else, and in no other mark."""
        return f"{self._run}-{next(self._numbers):06}"

    def event(self, identifier: str | None = None, **fields: Any) -> dict[str, Any]:
        """Return an event the service accepts, with a mark of ours as its identifier."""
        return event_of(self.target, identifier or self.mark(), **fields)

    async def pair(self) -> HonestPair:
        """Return an honest publisher and an honest subscriber."""
        # Both tokens first: while a command prints one, nobody would answer the pings of the other.
        await self.token("publish")
        subscriber = await self.client("subscribe")
        return HonestPair(await self.client("publish"), subscriber, self.target, self.mark)

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
        async with watching(self.server.processes, pair, self.now) as seen:
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

    def leave_untried(self, what: str) -> None:
        """Tell with a verdict that passes what could not be tried, and is no reason for another."""
        self.untried.append(self.transcript.redact(what))

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
