"""The events a program has reported and the monitor has not acknowledged yet.

Bounded in events and bytes, safe to fill from any thread, emptied by one sender. An entry stays
until it is acknowledged, so a lost connection needs no repair here.
"""

import itertools
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import NamedTuple

MAX_EVENTS = 10_000
MAX_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, encoded. An `expendable` one (a progress report) gives way when room is short."""

    id: str
    payload: bytes
    expendable: bool


class Added(NamedTuple):
    """What putting an event in did: whether nothing was dropped, and whether it is the only one."""

    complete: bool
    alone: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of the events put in so far; `waiting` ones may still be delivered."""

    acknowledged: int
    refused: int
    dropped: int
    waiting: int

    def __str__(self) -> str:
        return (
            f"{self.acknowledged} acknowledged, {self.waiting} undelivered,"
            f" {self.refused} refused by the monitor, {self.dropped} dropped"
        )


class Outbox:
    """A bounded queue in order of arrival.

    When it is full, the oldest waiting progress report is dropped for the new event: the newest
    state of a phase and its beginning and end matter more than the way between. Without any,
    the new event is dropped. Drops are counted.
    """

    def __init__(self, max_events: int = MAX_EVENTS, max_bytes: int = MAX_BYTES) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._expendable: deque[int] = deque()
        self._in_flight = -1  # highest sequence number handed to the sender
        self._sequence = itertools.count()
        self._bytes = 0
        self._acknowledged = self._refused = self._dropped = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Entry) -> Added:
        """Add an event, or drop it or an older progress report for want of room.

        One that is `alone` found the outbox empty: only then has the sender to be woken.
        """
        with self._lock:
            if len(entry.payload) > self._max_bytes:
                self._dropped += 1
                return Added(complete=False, alone=False)
            complete = True
            while not self._fits(entry):
                complete = False
                self._dropped += 1
                if not self._drop_oldest_expendable():
                    return Added(complete=False, alone=False)
            alone = not self._entries
            sequence = next(self._sequence)
            self._entries[sequence] = entry
            self._bytes += len(entry.payload)
            if entry.expendable:
                self._expendable.append(sequence)
            return Added(complete, alone)

    def drop(self) -> None:
        """Count an event that could not even be put in."""
        with self._lock:
            self._dropped += 1

    def peek(self, max_events: int, max_bytes: int) -> tuple[Entry, ...]:
        """Return the oldest entries, at most so many and so large, but one if there is any.

        They stay, and are not dropped for others from now on.
        """
        batch: list[Entry] = []
        size = 0
        with self._lock:
            for sequence, entry in itertools.islice(self._entries.items(), max_events):
                size += len(entry.payload)
                if batch and size > max_bytes:
                    break
                batch.append(entry)
                self._in_flight = max(self._in_flight, sequence)
        return tuple(batch)

    def acknowledge(self, count: int) -> None:
        """Forget the oldest `count` entries: the monitor has them."""
        with self._lock:
            for _ in range(count):
                sequence, entry = self._entries.popitem(last=False)
                self._bytes -= len(entry.payload)
                while self._expendable and self._expendable[0] <= sequence:
                    self._expendable.popleft()
            self._acknowledged += count

    def refuse(self, index: int) -> Entry:
        """Forget the entry at `index` (0: the oldest), which the monitor will never take."""
        with self._lock:
            sequence = next(itertools.islice(self._entries, index, None))
            entry = self._entries.pop(sequence)
            self._bytes -= len(entry.payload)
            self._refused += 1
            return entry

    def tally(self) -> Tally:
        """Return what became of the events so far."""
        with self._lock:
            return Tally(self._acknowledged, self._refused, self._dropped, len(self._entries))

    def _fits(self, entry: Entry) -> bool:
        within_bytes = self._bytes + len(entry.payload) <= self._max_bytes
        return within_bytes and len(self._entries) < self._max_events

    def _drop_oldest_expendable(self) -> bool:
        while self._expendable:
            sequence = self._expendable.popleft()
            if sequence > self._in_flight and sequence in self._entries:
                self._bytes -= len(self._entries.pop(sequence).payload)
                return True
        return False
