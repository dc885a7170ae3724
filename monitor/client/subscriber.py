"""Subscribers for people's own programs: every event once, in order, across lost connections.

A subscriber remembers its position (epoch and offset) and resumes there. What it was not sent is
said: a `Gap`, or a `Subscribed` that was not `recovered` after a snapshot.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from monitor.client.background import Background
from monitor.client.connector import FOR_EVER, Connector, Patience, report_outage
from monitor.client.errors import (
    ClientError,
    ForbiddenError,
    LinkLostError,
    ProtocolError,
    UnauthorizedError,
)
from monitor.client.link import DEFAULT_URL, Endpoint, Link, Token
from monitor.client.messages import ErrorCode, Event, Gap, Refusal, Subscribed, request

_log = logging.getLogger("monitor.client")


@dataclass(frozen=True, slots=True)
class Position:
    """The last event seen: `offset` counts from 1 within the journal that `epoch` names."""

    epoch: str
    offset: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events are wanted. An empty selection admits everything."""

    phases: Sequence[str] = ()
    types: Sequence[str] = ()
    run: str | None = None


EVERYTHING = Selection()
Item = Event | Gap | Subscribed
Yielded = TypeVar("Yielded")


class AsyncSubscriber:
    """Receives events in asynchronous code, for ever or until the caller stops.

    ```python
    async for event in AsyncSubscriber("ws://localhost:4001", token):
        print(event.phase, event.progress)
    ```

    Iterating yields events (a snapshot's among them) and logs what was left out; `items()` also
    yields each `Gap` and `Subscribed` in its place.

    Args:
        url: where the monitor listens.
        token: a token with the `subscribe` scope, or a function that returns a fresh one.
        selection: which events are wanted.
        since: resume after this position; an offset alone counts in the monitor's present epoch.
        patience: how long to go without a connection.
        on_outage: called once for each outage; logs a warning by default.

    Raises (while iterating):
        UnreachableError: patience ran out.
        UnauthorizedError, ForbiddenError, ProtocolError: another attempt is useless.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        token: Token = None,
        *,
        selection: Selection = EVERYTHING,
        since: Position | int | None = None,
        patience: Patience = FOR_EVER,
        on_outage: Callable[[LinkLostError], None] = report_outage,
    ) -> None:
        self._endpoint = Endpoint(url, token)
        self._selection = selection
        self._since = since
        self._fence: int | None = None  # `ref` of the subscription not confirmed yet
        self._patience = patience
        self._on_outage = on_outage

    @property
    def position(self) -> Position | None:
        """Where this subscriber is; hand it to another as `since` to go on from here."""
        return self._since if isinstance(self._since, Position) else None

    async def __aiter__(self) -> AsyncGenerator[Event]:
        resuming = self._since is not None
        async with aclosing(self.items()) as items:
            async for item in items:
                match item:
                    case Event():
                        yield item
                    case Gap(omitted=omitted, reason=reason):
                        _log.warning("%d events were left out: %s", omitted, reason)
                    case Subscribed(recovered=recovered):
                        if resuming and not recovered:
                            _log.warning("what was missed is lost; a snapshot took its place")
                        resuming = True

    async def items(self) -> AsyncGenerator[Item]:
        """Yield events, gaps and fences as they come."""
        connector = Connector(self._endpoint, patience=self._patience, on_outage=self._on_outage)
        async with aclosing(connector.links()) as links:
            async for link in links:
                try:
                    await self._subscribe(link)
                    while True:
                        item = await self._next(link)
                        if item is not None:
                            yield item
                except LinkLostError as lost:
                    _log.debug("%s", lost)

    async def _subscribe(self, link: Link) -> None:
        if isinstance(self._since, int):
            self._since = Position(await self._present_epoch(link), self._since)
        self._fence = link.reference()
        await link.send(self._request(self._fence, self._since))

    async def _present_epoch(self, link: Link) -> str:
        ref = link.reference()
        await link.send(self._request(ref, None))
        answer = await link.answer(ref)
        if isinstance(answer, Subscribed):
            return answer.epoch
        raise _why(link, answer)

    def _request(self, ref: int, since: Position | None) -> bytes:
        wanted = self._selection
        return request(
            "subscribe",
            ref,
            phases=list(wanted.phases) or None,
            types=list(wanted.types) or None,
            run=wanted.run,
            since=since,
        )

    async def _next(self, link: Link) -> Item | None:
        """Return the next item, or None for a message that is none; keep the position."""
        match await link.receive_or_ping():
            case Event(offset=int(offset)) as event:
                if self._fence is not None:
                    return None  # it belongs to the cursor this subscription replaces
                assert isinstance(self._since, Position)  # noqa: S101 - the fence set it
                self._since = Position(self._since.epoch, offset)
                return event
            case Subscribed() as fence:
                self._take_position(fence)
                return fence
            case Event() | Gap() as item:
                return item
            case Refusal() as refusal:
                raise _why(link, refusal)
            case _:
                return None

    def _take_position(self, fence: Subscribed) -> None:
        if fence.ref == self._fence:
            self._fence = None
        if fence.recovered and isinstance(self._since, Position):
            return  # what was missed follows, and moves the position as it comes
        self._since = Position(fence.epoch, fence.offset)


class Subscriber:
    """Receives events in ordinary code; arguments and errors are those of `AsyncSubscriber`.

    ```python
    for event in Subscriber("ws://localhost:4001", token):
        print(event.phase, event.progress)
    ```
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        token: Token = None,
        *,
        selection: Selection = EVERYTHING,
        since: Position | int | None = None,
        patience: Patience = FOR_EVER,
        on_outage: Callable[[LinkLostError], None] = report_outage,
    ) -> None:
        self._subscriber = AsyncSubscriber(
            url, token, selection=selection, since=since, patience=patience, on_outage=on_outage
        )

    @property
    def position(self) -> Position | None:
        """Where this subscriber is; hand it to another as `since` to go on from here."""
        return self._subscriber.position

    def __iter__(self) -> Generator[Event]:
        return _in_background(aiter(self._subscriber))

    def items(self) -> Generator[Item]:
        """Yield events, gaps and fences as they come."""
        return _in_background(self._subscriber.items())


def _in_background(source: AsyncGenerator[Yielded]) -> Generator[Yielded]:
    """Iterate over an asynchronous generator from ordinary code; leaving it closes the source."""
    step: asyncio.Task[Any] | None = None

    async def following() -> Yielded:
        nonlocal step
        step = asyncio.current_task()
        return await anext(source)

    async def close() -> None:
        if step is not None and not step.done():  # interrupted: Ctrl-C, for one
            step.cancel()
            await asyncio.wait({step})
        await source.aclose()

    with Background("wsproof-subscriber") as background:
        try:
            while True:
                try:
                    yield background.call(following())
                except StopAsyncIteration:
                    return
        finally:
            background.call(close())


def _why(link: Link, answer: object) -> ClientError:
    """Return what a refusal of a subscription means, or that the answer made no sense."""
    where = f"monitor {link.endpoint.url}"
    match answer:
        case Refusal(retryable=True, message=text, retry_after=after):
            return link.give_up(text, after or 0.0)
        case Refusal(code=ErrorCode.FORBIDDEN, message=text):
            return ForbiddenError(f"{where}: {text}; it needs a token with the `subscribe` scope")
        case Refusal(code=ErrorCode.UNAUTHORIZED, message=text):
            return UnauthorizedError(f"{where}: {text}")
        case Refusal(message=text):
            return ProtocolError(f"{where}: the subscription was refused: {text}")
        case other:
            return ProtocolError(f"{where}: expected `subscribed`, got {other}")
