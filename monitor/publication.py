"""Commit, then deliver, then acknowledge: the way of a publication through the server.

Publications queue within one turn of the event loop and are committed as one group. What was
acknowledged, or delivered, is in the journal.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import UNSET

from monitor import wire
from monitor.effects import Store
from monitor.eventlog import EventLog
from monitor.events import Event, complete, encode_event
from monitor.fanout import Fanout
from monitor.journal import Journal
from monitor.journalfile import JournalError, RepeatedIdError
from monitor.journalrows import Entry
from monitor.metrics import Metrics
from monitor.wire import ErrorCode

log = logging.getLogger("monitor.publication")

#: Finds the offsets of those of a subject's ids that are stored.
Find = Callable[[str, Sequence[str]], dict[str, int]]

#: When a publisher whose events could not be stored may try again.
_RETRY_S = 1.0


class Publisher(Protocol):
    """Who gets the acknowledgement."""

    def reply(self, frames: bytes) -> None:
        """Send whole frames, if the connection still is."""


class Publications:
    """The queue between publishers and the log.

    Args:
        schedule: called when a flush is wanted; it must lead to `flush` once.
        clock: monotonic seconds, for deliveries and durations.
        wall: Unix seconds, for the journal.
    """

    def __init__(
        self,
        journal: Journal,
        events: EventLog,
        fanout: Fanout,
        metrics: Metrics,
        *,
        schedule: Callable[[], None],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._log = events
        self._fanout = fanout
        self._metrics = metrics
        self._schedule = schedule
        self._clock = clock
        self._wall = wall
        self._queue: list[tuple[Publisher, Store]] = []
        self._failing = False

    def store(self, publisher: Publisher, store: Store) -> None:
        """Queue validated events for the next flush."""
        if not self._queue:
            self._schedule()
        self._queue.append((publisher, store))

    def flush(self) -> None:
        """Commit what is queued, move every cursor, then acknowledge."""
        queue, self._queue = self._queue, []
        started = self._clock()
        replies = self._commit(queue) if queue else []
        committed = self._clock()
        self._fanout.flush(committed)
        _reply(queue, replies)
        if queue:
            self._metrics.commit.observe(committed - started)
        self._metrics.flush.observe(self._clock() - committed)

    def _commit(self, queue: list[tuple[Publisher, Store]]) -> list[bytes]:
        """Journal the queue as one group and append it to the log; return the replies."""
        try:
            group, acknowledged = self._store(queue)
        except JournalError as error:
            self._tell_failure(error)
            self._metrics.refuse("journal", len(queue))
            text = "the events could not be stored; try again"
            return [
                wire.error(ErrorCode.UNAVAILABLE, text, ref=store.ref, retry_after=_RETRY_S)
                for _, store in queue
            ]
        self._failing = False
        for entry in group.entries:
            self._log.append(wire.text_frame(entry.payload), (entry.type, entry.run, entry.phase))
        self._log.note(
            [
                (entry.offset, event, len(entry.payload))
                for entry, event in zip(group.entries, group.events, strict=True)
            ]
        )
        self._metrics.events += len(group.entries)
        self._metrics.duplicates += group.duplicates
        self._metrics.redactions += sum([store.redactions for _, store in queue])
        return [
            wire.ack(store.ref, offsets)
            for (_, store), offsets in zip(queue, acknowledged, strict=True)
        ]

    def _store(self, queue: list[tuple[Publisher, Store]]) -> tuple["_Group", list[list[int]]]:
        """Journal the queue as one group; return it with each publication's offsets.

        Ids are looked up only once the journal has found one of them to be a repeat: that is
        rare, and storing an id checks it anyway.
        """
        for find in (None, self._journal.find):
            group = _Group(find, self._log, self._wall())
            acknowledged = [group.add(store) for _, store in queue]
            try:
                if group.entries:
                    self._journal.append(group.entries)
            except RepeatedIdError:
                continue
            return group, acknowledged
        raise AssertionError("a repeated id was stored, but not found")

    def _tell_failure(self, error: JournalError) -> None:
        """Log that events are refused, once until they are stored again."""
        if not self._failing:
            log.error("%s", error)
        self._failing = True


def _reply(queue: list[tuple[Publisher, Store]], replies: list[bytes]) -> None:
    """Send each publisher its replies in one write: a write costs more than all the rest."""
    frames: dict[Publisher, list[bytes]] = {}
    for (publisher, _), reply in zip(queue, replies, strict=True):
        frames.setdefault(publisher, []).append(wire.text_frame(reply))
    for publisher, its_own in frames.items():
        publisher.reply(b"".join(its_own))


class _Group:
    """The entries of one commit, in the making: offsets assigned, repeats recognised.

    Args:
        find: looks up stored ids, or None to take every id for new.
        now: Unix seconds.
    """

    def __init__(self, find: Find | None, events: EventLog, now: float) -> None:
        self.entries: list[Entry] = []
        self.events: list[Event] = []
        self.duplicates = 0
        self._find = find
        self._log = events
        self._now = now
        self._known: dict[str, dict[str, int]] = {}  # offsets by subject and id
        self._progress: dict[tuple[object, object], int | float] = {}
        self._noted = 0  # events whose progress has been noted

    def add(self, store: Store) -> list[int]:
        """Add one publication; return its offsets, those of earlier copies for repeats."""
        subject = store.subject
        known = self._known.setdefault(subject, {})
        if self._find is not None:
            ids = [event.id for event in store.events if event.id is not UNSET]
            known.update(self._find(subject, ids))
        offset = self._log.last + len(self.entries)
        offsets = []
        for event in store.events:
            identity = None if event.id is UNSET else event.id
            if identity is not None:
                copy = known.get(identity)
                if copy is not None:
                    self.duplicates += 1
                    offsets.append(copy)
                    continue
                known[identity] = offset + 1
            if event.type == "phase_failed" and event.progress is UNSET:
                event = complete(event, self._reached(event))  # noqa: PLW2901 - the same event
            offset += 1
            offsets.append(offset)
            run = None if event.run is UNSET else event.run
            phase = None if event.phase is UNSET else event.phase
            payload = encode_event(event, offset)
            self.events.append(event)
            self.entries.append(
                Entry(offset, payload, event.type, run, phase, identity, subject, self._now)
            )
        return offsets

    def _reached(self, failure: Event) -> int | float:
        """Return the progress a phase had reached, for a failure that leaves it out."""
        for event in self.events[self._noted :]:
            if event.progress is not UNSET:
                self._progress[event.run, event.phase] = event.progress
        self._noted = len(self.events)
        reached = self._progress.get((failure.run, failure.phase))
        return self._log.progress(failure) if reached is None else reached
