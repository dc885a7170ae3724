"""An honest publisher and subscriber: the bracket of every check, and the canary of attacks."""

import asyncio
from collections.abc import Callable

from monitor.contract.promises import Promises
from monitor.contract.target import Target
from securitytests.probe.client import Client, NotServedError, event_of, said
from securitytests.probe.peer import ENDS
from securitytests.probe.stream import PATIENCE_S

#: How long one reception waits; while somebody waits for an answer, another one follows.
_LISTEN_S = 1.0


class HonestPair:
    """A publisher and a subscriber that behave.

    Args:
        publisher: a client that may publish.
        subscriber: a client that is sent what is published.
        target: whose profile says how an event and its acknowledgement look.
        mark: makes identifiers, none of which stands in another.
    """

    def __init__(
        self, publisher: Client, subscriber: Client, target: Target, mark: Callable[[], str]
    ) -> None:
        self.publisher = publisher
        self.subscriber = subscriber
        self.interval_s = _interval_s(target.promises)
        self._target = target
        self._mark = mark
        self._rounds: dict[str, _Round] = {}
        self._reading: dict[str, asyncio.Task[None]] = {}

    async def measure(self, within: float = PATIENCE_S) -> float:
        """Publish an event; return how long until it arrived, in seconds.

        May be called again while earlier events are still awaited.

        Raises:
            NotServedError: it was refused, or did not arrive within the time.
        """
        identifier, round_ = self._mark(), _Round()
        if self._target.publish.acknowledged is None:
            round_.acknowledged.set_result(_now())
        self._rounds[identifier] = round_
        self._read_on()
        started = _now()
        try:
            async with asyncio.timeout(within):
                await self.publisher.send_event(event_of(self._target, identifier))
                await round_.acknowledged
                return await round_.arrived - started
        except TimeoutError:
            raise NotServedError(self._unanswered(round_)) from None
        finally:
            del self._rounds[identifier]
            if not self._rounds:
                await self._read_no_more()

    def _unanswered(self, round_: "_Round") -> str:
        if not round_.acknowledged.done():
            return f"publication: expected {self._target.publish.acknowledged}, got nothing in time"
        return "delivery: expected the event published, got nothing in time"

    # Both connections are read as long as a round is under way: answers come in any order.

    def _read_on(self) -> None:
        for read in (self._read_publisher, self._read_subscriber):
            task = self._reading.get(read.__name__)
            if task is None or task.done():
                self._reading[read.__name__] = asyncio.create_task(read())

    async def _read_no_more(self) -> None:
        reading = tuple(self._reading.values())
        self._reading.clear()
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    async def _read_publisher(self) -> None:
        """Note acknowledgements. They name no event: one that comes answers all that were sent."""
        mark, refusal = self._target.publish.acknowledged, self._target.publish.refused
        while True:
            heard = await self.publisher.peer.receive(_LISTEN_S)
            if heard.kind == "text" and mark is not None and mark in heard.text:
                for round_ in self._rounds.values():
                    _settle(round_.acknowledged, _now())
            refused = heard.kind == "text" and refusal is not None and refusal in heard.text
            if refused or heard.kind in ENDS:
                self._fail(f"publication: expected {mark or 'to be taken'}, got {said(heard)}")
            if heard.kind in ENDS:
                return

    async def _read_subscriber(self) -> None:
        while True:
            heard = await self.subscriber.peer.receive(_LISTEN_S)
            if heard.kind == "text":
                for identifier, round_ in self._rounds.items():
                    if identifier in heard.text:
                        _settle(round_.arrived, _now())
            elif heard.kind in ENDS:
                self._fail(f"delivery: expected the event published, got {said(heard)}")
                return

    def _fail(self, why: str) -> None:
        for round_ in self._rounds.values():
            for awaited in (round_.acknowledged, round_.arrived):
                if not awaited.done():
                    awaited.set_exception(NotServedError(why))
                    awaited.exception()  # it may be that nobody comes to ask


class _Round:
    """One event under way: when it was acknowledged and when it arrived, in loop time."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.acknowledged: asyncio.Future[float] = loop.create_future()
        self.arrived: asyncio.Future[float] = loop.create_future()


def _settle(awaited: "asyncio.Future[float]", at_s: float) -> None:
    if not awaited.done():
        awaited.set_result(at_s)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _interval_s(promises: Promises) -> float:
    """Return a pause between honest publications that stays well within the promises."""
    if "publication" in promises.counted and promises.requests_per_window is not None:
        return 2 * promises.window_s / promises.requests_per_window
    return 0.02
