"""Moves cursors over the event log: one write a subscriber a flush, whatever was appended.

Subscribers at the same cursor with the same filter share one joined `bytes` object. A subscriber
that cannot be written to is left where it is; no queue is kept for it.
"""

from collections.abc import Callable
from typing import Protocol

from monitor import wire
from monitor.eventlog import EventLog, Filter, Stretch

#: Bytes of frames written to one subscriber in one go: small, so that a stalled reader is
#: noticed before much is handed to it.
WRITE_BYTES = 64 * 1024

#: A subscriber that stalled and is this many entries behind is thinned while it catches up.
THIN_BEHIND_ENTRIES = 512

#: Entries one thinning pass looks at: bounds the time one slow reader takes from the others.
THIN_PASS_ENTRIES = 2_048


class Subscriber(Protocol):
    """What the fan-out needs of a connection, and writes to: `cursor`, `filter`, `stalled`."""

    cursor: int
    filter: Filter | None
    stalled: bool
    writable: bool

    @property
    def expires_at(self) -> float:
        """Monotonic time after which nothing may be delivered."""

    def deliver(self, frames: bytes, now: float) -> None:
        """Write frames; may turn the subscriber unwritable through `Fanout.pause`."""

    def expire(self, now: float) -> None:
        """Close: the token behind this subscription has expired."""


class Fanout:
    """The subscribers of one log.

    Args:
        log: the log to read.
        again: called when a flush left something unwritten that can be written next turn.
    """

    def __init__(self, log: EventLog, again: Callable[[], None]) -> None:
        self.deliveries = 0
        self.thinned = 0
        self.expired = 0
        self._log = log
        self._again = again
        self._ready: dict[Subscriber, None] = {}
        self._paused: set[Subscriber] = set()

    def __len__(self) -> int:
        return len(self._ready) + len(self._paused)

    def lag(self) -> int:
        """Return how many entries the subscriber furthest behind is behind."""
        cursors = [s.cursor for s in (*self._ready, *self._paused)]
        return self._log.last - min(cursors) if cursors else 0

    def subscribe(self, subscriber: Subscriber, wanted: Filter | None, cursor: int) -> None:
        """Register, or replace filter and cursor."""
        subscriber.filter = wanted
        subscriber.cursor = cursor
        subscriber.stalled = False
        if subscriber.writable:
            self._ready[subscriber] = None
        else:
            self._paused.add(subscriber)
        if cursor < self._log.last:
            self._again()

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Forget a subscriber. Idempotent."""
        self._ready.pop(subscriber, None)
        self._paused.discard(subscriber)

    def pause(self, subscriber: Subscriber) -> None:
        """Stop writing to a subscriber whose transport is full; it falls behind."""
        if subscriber in self._ready:
            del self._ready[subscriber]
            self._paused.add(subscriber)

    def resume(self, subscriber: Subscriber) -> None:
        """Write to a subscriber again, from its cursor."""
        if subscriber in self._paused:
            self._paused.discard(subscriber)
            self._ready[subscriber] = None
            subscriber.stalled = True
            self._again()

    def flush(self, now: float) -> None:
        """Bring every writable subscriber level, or one write closer to it."""
        last = self._log.last
        first = self._log.first
        joined: dict[tuple[int, Filter | None], Stretch] = {}
        unfinished = False
        for subscriber in tuple(self._ready):
            cursor = subscriber.cursor
            if cursor == last:
                continue
            if subscriber.expires_at <= now:
                subscriber.expire(now)
                continue
            if cursor + 1 < first:
                stretch = self._after_expiry(subscriber)
            elif subscriber.stalled and last - cursor > THIN_BEHIND_ENTRIES:
                stretch = self._thin(subscriber)
            else:
                key = (cursor, subscriber.filter)
                shared = joined.get(key)
                if shared is None:
                    shared = self._log.stretch(cursor, subscriber.filter, WRITE_BYTES)
                    joined[key] = shared
                stretch = shared
            subscriber.cursor = stretch.upto
            if stretch.upto == last:
                subscriber.stalled = False
            else:
                unfinished = True
            if stretch.frames:
                self.deliveries += stretch.sent
                subscriber.deliver(stretch.frames, now)
        if unfinished:
            self._again()

    def snapshot(self, wanted: Filter | None) -> tuple[bytes, int]:
        """Return the frames of the current phase states, and how many there are."""
        frames = [wire.text_frame(state.encode()) for state in self._log.states(wanted)]
        return b"".join(frames), len(frames)

    def _thin(self, subscriber: Subscriber) -> Stretch:
        """Return the next thinned entries, after the notice of what was left out."""
        cursor = subscriber.cursor
        stretch = self._log.thinned(cursor, subscriber.filter, THIN_PASS_ENTRIES)
        if not stretch.omitted:
            return stretch
        self.thinned += stretch.omitted
        notice = _gap(cursor + 1, stretch.upto, stretch.omitted, "thinned")
        return stretch._replace(frames=notice + stretch.frames)

    def _after_expiry(self, subscriber: Subscriber) -> Stretch:
        """Return the notice that entries are gone, the current state and the new cursor."""
        cursor, last = subscriber.cursor, self._log.last
        omitted = last - cursor
        self.expired += omitted
        states, count = self.snapshot(subscriber.filter)
        notice = _gap(cursor + 1, last, omitted, "expired")
        fence = self.fence(last, recovered=False, count=count)
        return Stretch(notice + states + fence, last, 0, omitted)

    def fence(
        self, offset: int, *, recovered: bool, count: int, ref: wire.Reference | None = None
    ) -> bytes:
        """Return the `subscribed` frame that parts events of the old cursor from the new."""
        epoch = self._log.epoch
        return wire.text_frame(
            wire.encode(
                "subscribed", ref, epoch=epoch, offset=offset, recovered=recovered, count=count
            )
        )


def _gap(start: int, end: int, omitted: int, reason: str) -> bytes:
    span = {"from": start, "to": end}  # `from` is no name Python takes
    return wire.text_frame(wire.encode("gap", **span, omitted=omitted, reason=reason))
