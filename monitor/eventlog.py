"""The bounded in-memory event log: offsets, epoch, encoded frames and phase state. Pure.

Append-only, in offset order without holes. A subscriber is a cursor into it; nothing is kept
per subscriber. Memory is bounded by `max_bytes` of frames and by the phases kept.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import NamedTuple, Self

import msgspec
from msgspec import UNSET

from monitor.events import Event, PhaseState, state_of, tells_state
from monitor.phaseindex import (
    MAX_PHASES,
    MAX_RUNS,
    MAX_STATE_BYTES,
    Change,
    PhaseIndex,
    PhaseName,
)

#: The head of the lists is cut once this many forgotten entries stand there, so that trimming
#: costs amortised constant time an entry.
_TRIM_ENTRIES = 4_096

#: Descriptions kept to be shared; more than this many in use at a time are merely not shared.
_SHARED_ABOUTS = 1_024

#: Entries a filtered stretch looks at, at most.
_FILTER_ENTRIES = 4_096


class Filter(msgspec.Struct, frozen=True):
    """Which entries a subscriber wants; an absent part admits everything."""

    phases: frozenset[str] | None = None
    types: frozenset[str] | None = None
    run: str | None = None

    def admits(self, about: "About") -> bool:
        """Tell whether an entry about this type, run and phase passes."""
        return (
            (self.types is None or about.type in self.types)
            and (self.phases is None or about.phase in self.phases)
            and (self.run is None or about.run == self.run)
        )


class About(NamedTuple):
    """What an entry is about: enough to filter and thin it without decoding its frame."""

    type: str
    run: str | None
    phase: str | None

    @classmethod
    def of(cls, event: Event) -> Self:
        """Return what an event is about."""
        run = None if event.run is UNSET else event.run
        return cls(event.type, run, None if event.phase is UNSET else event.phase)


class Stretch(NamedTuple):
    """Part of the log, as one subscriber gets it: bytes to write, and the cursor afterwards.

    `sent` counts the entries in `frames`; `omitted` those that passed the filter but were left
    out.
    """

    frames: bytes
    upto: int
    sent: int
    omitted: int


class Snapshot(NamedTuple):
    """Some of the phase states: their JSON, and the offset up to which changes are in it."""

    payloads: list[bytes]
    upto: int


#: The offset of an event that tells a phase's state, and the event.
_Told = tuple[int, Event]


class EventLog:
    """The newest entries of the journal, held for delivery.

    Args:
        epoch: the journal's identity; offsets of another epoch mean nothing here.
        last: offset of the newest entry ever appended, 0 for none.
        max_bytes: frames beyond this many bytes are forgotten, oldest first.
        max_runs: runs whose phase states are kept, newest first.
        max_phases: phases kept a run.
        max_state_bytes: of all phase states kept, as JSON.
    """

    def __init__(
        self,
        epoch: str,
        last: int = 0,
        *,
        max_bytes: int = 4 * 2**20,
        max_runs: int = MAX_RUNS,
        max_phases: int = MAX_PHASES,
        max_state_bytes: int = MAX_STATE_BYTES,
    ) -> None:
        self.epoch = epoch
        self.last = last
        self.frame_bytes = 0
        self._max_bytes = max_bytes
        self._frames: list[bytes] = []
        self._about: list[About] = []
        self._abouts: dict[tuple[str, str | None, str | None], About] = {}
        self._dead = 0  # forgotten entries still at the head of the lists
        self._phases: PhaseIndex[_Told] = PhaseIndex(
            max_runs=max_runs, max_phases=max_phases, max_bytes=max_state_bytes
        )
        self._by_offset: list[_Told] | None = None  # the phase states, while nothing changes

    @property
    def first(self) -> int:
        """Offset of the oldest entry held; `last + 1` when none is."""
        return self.last + 1 - (len(self._frames) - self._dead)

    def append(self, frame: bytes, about: tuple[str, str | None, str | None]) -> int:
        """Append one entry and return its offset; the oldest give way above the byte bound.

        `about` has the parts of an `About`, in its order.
        """
        self._frames.append(frame)
        self._about.append(self._shared(about))
        self.last += 1
        self.frame_bytes += len(frame)
        while self.frame_bytes > self._max_bytes:
            self.frame_bytes -= len(self._frames[self._dead])
            self._frames[self._dead] = b""
            self._dead += 1
        if self._dead > _TRIM_ENTRIES:
            del self._frames[: self._dead]
            del self._about[: self._dead]
            self._dead = 0
        return self.last

    def note(self, accepted: Iterable[tuple[int, Event, int]]) -> None:
        """Fold accepted events, complete and in order, into the phase states.

        Each comes with the offset it was appended at, and the bytes of its JSON.
        """
        self._by_offset = None
        self._phases.note_all(
            [
                Change(_phase(event), (offset, event), size)
                for offset, event, size in accepted
                if tells_state(event)
            ]
        )

    def progress(self, event: Event) -> int | float:
        """Return the progress last known of the event's phase; 0 if it is new."""
        known = self._phases.get(_phase(event))
        return 0 if known is None or known[1].progress is UNSET else known[1].progress

    def states(self, wanted: Filter | None = None) -> Iterator[PhaseState]:
        """Yield the current phase states, run by run, least recently changed first."""
        for _, event in self._phases.values():
            state = state_of(event)
            if _admitted(state, wanted):
                yield state

    def states_after(self, offset: int, wanted: Filter | None, max_bytes: int) -> Snapshot:
        """Return the states of the phases that changed after `offset`, in order of that change.

        Up to about `max_bytes` of their JSON, and a bounded number of phases is looked at. To go
        on from each `upto` until it is `last` gives every phase's current state, whatever was
        appended meanwhile: what changes comes after what has been given already.
        """
        if self._by_offset is None:
            self._by_offset = sorted(self._phases.values(), key=itemgetter(0))
        changes = self._by_offset
        start = bisect_right(changes, offset, key=itemgetter(0))
        payloads: list[bytes] = []
        size = 0
        for change in changes[start : start + _FILTER_ENTRIES]:
            if size >= max_bytes:
                return Snapshot(payloads, offset)
            offset = change[0]
            state = state_of(change[1])
            if _admitted(state, wanted):
                payloads.append(state.encode())
                size += len(payloads[-1])
        whole = start + _FILTER_ENTRIES >= len(changes)
        return Snapshot(payloads, self.last if whole else offset)

    def holds_after(self, offset: int) -> bool:
        """Tell whether every entry after `offset` is still held (and `offset` is not ahead)."""
        return self.first - 1 <= offset <= self.last

    def count(self, after: int, wanted: Filter | None) -> int:
        """Count the held entries after `after` that pass the filter."""
        if wanted is None:
            return self.last - after
        return sum(map(wanted.admits, self._about[self._index(after + 1) :]))

    def stretch(self, after: int, wanted: Filter | None, max_bytes: int) -> Stretch:
        """Return what follows `after`, up to about `max_bytes` of frames, nothing left out.

        At least one entry is passed, and a frame above the cap is whole. A filter looks at a
        bounded number of entries, so that one that admits little costs others no time.
        """
        start = end = self._index(after + 1)
        frames, about = self._frames, self._about
        total, size = len(frames), 0
        if wanted is None:
            while end < total and size < max_bytes:
                size += len(frames[end])
                end += 1
            chosen = frames[start:end]
        else:
            chosen = []
            total = min(total, start + _FILTER_ENTRIES)
            while end < total and size < max_bytes:
                if wanted.admits(about[end]):
                    chosen.append(frames[end])
                    size += len(frames[end])
                end += 1
        return Stretch(b"".join(chosen), after + end - start, len(chosen), 0)

    def thinned(self, after: int, wanted: Filter | None, max_entries: int) -> Stretch:
        """Return at most `max_entries` entries after `after`, thinned.

        Of several `phase_progress` entries of one phase only the newest stays; every entry of
        another kind stays.
        """
        start = self._index(after + 1)
        end = min(start + max_entries, len(self._frames))
        kept: list[bytes] = []
        omitted = 0
        seen: set[tuple[str | None, str | None]] = set()
        for index in range(end - 1, start - 1, -1):
            about = self._about[index]
            if wanted is not None and not wanted.admits(about):
                continue
            if about.type == "phase_progress":
                phase = (about.run, about.phase)
                if phase in seen:
                    omitted += 1
                    continue
                seen.add(phase)
            kept.append(self._frames[index])
        kept.reverse()
        return Stretch(b"".join(kept), after + end - start, len(kept), omitted)

    def _shared(self, about: tuple[str, str | None, str | None]) -> About:
        """Return one object for all entries about the same, so that each costs a pointer."""
        known = self._abouts.get(about)
        if known is None:
            if len(self._abouts) >= _SHARED_ABOUTS:
                self._abouts.clear()
            known = About(*about)
            self._abouts[known] = known
        return known

    def _index(self, offset: int) -> int:
        """Return where `offset` stands in the lists; it must be held, or the one after last."""
        return offset - self.first + self._dead


def _admitted(state: PhaseState, wanted: Filter | None) -> bool:
    run = None if state.run is UNSET else state.run
    return wanted is None or wanted.admits(About(state.type, run, state.phase))


def _phase(event: Event) -> PhaseName:
    return ("" if event.run is UNSET else event.run, str(event.phase))
