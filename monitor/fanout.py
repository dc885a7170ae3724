"""Moves cursors over the event log: one write a subscriber a flush, whatever was appended.

Subscribers at the same cursor with the same filter share one joined `bytes` object. A subscriber
that cannot be written to is left where it is; no queue is kept for it.
"""

from collections.abc import Callable
from typing import Protocol

from monitor import wire
from monitor.eventlog import EventLog, Filter, Snapshot, Stretch

#: Bytes of frames written to one subscriber in one go: small, so that a stalled reader is
#: noticed before much is handed to it.
WRITE_BYTES = 64 * 1024

#: Pieces of a snapshot kept to be shared until a phase changes.
_SHARED_PIECES = 16

#: The cursor of a subscriber that is being sent the phase states.
_BEFORE_ALL = -1

#: A subscriber that stalled and is this many entries behind is thinned while it catches up.
THIN_BEHIND_ENTRIES = 512

#: Entries one thinning pass looks at: bounds the time one slow reader takes from the others.
THIN_PASS_ENTRIES = 2_048


class Beginning:
    """How far a newcomer has been sent the phase states.

    `after` is the offset up to which changes are in them, `sent` how many there were, `ref` that
    of the message to be answered by the fence.
    """

    __slots__ = ("after", "ref", "sent")

    def __init__(self, ref: wire.Reference | None) -> None:
        self.after = 0
        self.sent = 0
        self.ref = ref


class Subscriber(Protocol):
    """What the fan-out needs of a connection. All but `writable` is the fan-out's to set.

    `whole_to` is the offset up to which nothing is left out, as it was promised; `beginning` is
    None once the fence has been written.
    """

    cursor: int
    filter: Filter | None
    stalled: bool
    whole_to: int
    beginning: Beginning | None
    writable: bool

    @property
    def expires_at(self) -> float:
        """Monotonic time after which nothing may be delivered."""

    def deliver(self, frames: bytes, now: float) -> None:
        """Write frames; may turn the subscriber unwritable through `Fanout.pause`."""

    def begun(self) -> None:
        """Take note that the phase states and the fence behind them have been written."""

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
        self._pieces: dict[tuple[int, Filter | None], tuple[bytes, int, int]] = {}
        self._pieces_of = -1  # the last offset when they were made

    def __len__(self) -> int:
        return len(self._ready) + len(self._paused)

    def lag(self) -> int:
        """Return how many entries the subscriber furthest behind is behind."""
        cursors = [s.cursor for s in (*self._ready, *self._paused) if s.beginning is None]
        return self._log.last - min(cursors, default=self._log.last)

    @property
    def level(self) -> bool:
        """Whether every subscriber has been sent everything."""
        last = self._log.last
        return all(s.cursor == last for s in (*self._ready, *self._paused))

    def subscribe(self, subscriber: Subscriber, wanted: Filter | None, cursor: int) -> None:
        """Register, or replace filter and cursor; nothing up to now will be left out."""
        subscriber.beginning = None
        self._register(subscriber, wanted, cursor)

    def start(
        self, subscriber: Subscriber, wanted: Filter | None, ref: wire.Reference | None = None
    ) -> None:
        """Register a newcomer, or start anew: the phase states, the fence, then what follows."""
        subscriber.beginning = Beginning(ref)
        self._register(subscriber, wanted, _BEFORE_ALL)

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
                if subscriber.beginning is None:
                    self._expire_entries(subscriber, now)
                else:
                    self._begin(subscriber, now)
                unfinished = unfinished or subscriber.cursor != last
                continue
            if (
                subscriber.stalled
                and last - cursor > THIN_BEHIND_ENTRIES
                and cursor >= subscriber.whole_to
            ):
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

    def _register(self, subscriber: Subscriber, wanted: Filter | None, cursor: int) -> None:
        subscriber.filter = wanted
        subscriber.cursor = cursor
        subscriber.stalled = False
        subscriber.whole_to = self._log.last
        if subscriber.writable:
            self._ready[subscriber] = None
        else:
            self._paused.add(subscriber)
        if cursor < self._log.last:
            self._again()

    def _begin(self, subscriber: Subscriber, now: float) -> None:
        """Write some of the phase states; after the last of them the fence."""
        beginning = subscriber.beginning
        assert beginning is not None  # noqa: S101 - the caller checked
        frames, sent, beginning.after = self._piece(beginning.after, subscriber.filter)
        beginning.sent += sent
        last = self._log.last
        if beginning.after < last:
            subscriber.deliver(frames, now)
            return
        subscriber.cursor = subscriber.whole_to = last
        subscriber.stalled = False
        subscriber.beginning = None
        fence = self.fence(last, recovered=False, count=beginning.sent, ref=beginning.ref)
        subscriber.deliver(frames + fence, now)
        subscriber.begun()

    def _piece(self, after: int, wanted: Filter | None) -> tuple[bytes, int, int]:
        """Return frames of phase states changed after an offset, their number, and up to where."""
        if self._pieces_of != self._log.last:
            self._pieces.clear()
            self._pieces_of = self._log.last
        piece = self._pieces.get((after, wanted))
        if piece is None:
            states: Snapshot = self._log.states_after(after, wanted, WRITE_BYTES)
            frames = b"".join([wire.text_frame(payload) for payload in states.payloads])
            piece = frames, len(states.payloads), states.upto
            if len(self._pieces) < _SHARED_PIECES:
                self._pieces[after, wanted] = piece
        return piece

    def _thin(self, subscriber: Subscriber) -> Stretch:
        """Return the next thinned entries, after the notice of what was left out."""
        cursor = subscriber.cursor
        stretch = self._log.thinned(cursor, subscriber.filter, THIN_PASS_ENTRIES)
        if not stretch.omitted:
            return stretch
        self.thinned += stretch.omitted
        notice = _gap(cursor + 1, stretch.upto, stretch.omitted, "thinned")
        return stretch._replace(frames=notice + stretch.frames)

    def _expire_entries(self, subscriber: Subscriber, now: float) -> None:
        """Say that entries are gone before they could be sent, and start anew."""
        cursor, last = subscriber.cursor, self._log.last
        omitted = last - cursor
        self.expired += omitted
        self.start(subscriber, subscriber.filter)
        subscriber.deliver(_gap(cursor + 1, last, omitted, "expired"), now)

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
