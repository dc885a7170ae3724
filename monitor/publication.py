"""Commit, then deliver, then acknowledge: the way of a publication through the server.

Publications queue within one turn of the event loop and are committed as one group. What was
acknowledged, or delivered, is in the journal.
"""

import logging
from collections.abc import Callable
from typing import Protocol

from msgspec import UNSET

from monitor import wire
from monitor.eventlog import About, EventLog
from monitor.events import Event, complete, encode_event
from monitor.fanout import Fanout
from monitor.journal import Entry, Journal, JournalError
from monitor.metrics import Metrics
from monitor.session import Store
from monitor.wire import ErrorCode

log = logging.getLogger("monitor.publication")

#: When a publisher whose events could not be stored may try again.
_RETRY_S = 1.0


class Publisher(Protocol):
    """Who gets the acknowledgement."""

    def reply(self, payload: bytes) -> None:
        """Send one message, if the connection still is."""


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
        for (publisher, _), reply in zip(queue, replies, strict=True):
            publisher.reply(reply)
        if queue:
            self._metrics.commit.observe(committed - started)
        self._metrics.flush.observe(self._clock() - committed)

    def _commit(self, queue: list[tuple[Publisher, Store]]) -> list[bytes]:
        """Journal the queue as one group and append it to the log; return the replies."""
        group = _Group(self._journal, self._log, self._wall())
        try:
            acknowledged = [group.add(store) for _, store in queue]
            if group.entries:
                self._journal.append(group.entries)
        except JournalError as error:
            self._tell_failure(error)
            self._metrics.refuse("journal", len(queue))
            text = "the events could not be stored; try again"
            return [
                wire.error(ErrorCode.UNAVAILABLE, text, ref=store.ref, retry_after=_RETRY_S)
                for _, store in queue
            ]
        self._failing = False
        for entry, event in zip(group.entries, group.events, strict=True):
            self._log.append(
                wire.text_frame(entry.payload), About(entry.type, entry.run, entry.phase)
            )
            self._log.note(event)
        self._metrics.events += len(group.entries)
        self._metrics.duplicates += group.duplicates
        self._metrics.redactions += sum(store.redactions for _, store in queue)
        return [
            wire.encode("ack", store.ref, offsets=offsets)
            for (_, store), offsets in zip(queue, acknowledged, strict=True)
        ]

    def _tell_failure(self, error: JournalError) -> None:
        """Log that events are refused, once until they are stored again."""
        if not self._failing:
            log.error("%s", error)
        self._failing = True


class _Group:
    """The entries of one commit, in the making: offsets assigned, repeats recognised."""

    def __init__(self, journal: Journal, events: EventLog, now: float) -> None:
        self.entries: list[Entry] = []
        self.events: list[Event] = []
        self.duplicates = 0
        self._journal = journal
        self._log = events
        self._now = now
        self._seen: dict[tuple[str, str], int] = {}
        self._progress: dict[tuple[object, object], int | float] = {}

    def add(self, store: Store) -> list[int]:
        """Add one publication; return its offsets, those of earlier copies for repeats."""
        ids = [event.id for event in store.events if event.id is not UNSET]
        known = self._journal.find(store.subject, ids) if ids else {}
        offsets = []
        for event in store.events:
            offset = None
            if event.id is not UNSET:
                offset = known.get(event.id) or self._seen.get((store.subject, event.id))
            if offset is None:
                offset = self._append(store.subject, event)
            else:
                self.duplicates += 1
            offsets.append(offset)
        return offsets

    def _append(self, subject: str, event: Event) -> int:
        event = self._with_progress(event)
        offset = self._log.last + len(self.entries) + 1
        identity = None if event.id is UNSET else event.id
        if identity is not None:
            self._seen[subject, identity] = offset
        self.events.append(event)
        self.entries.append(
            Entry(
                offset=offset,
                payload=encode_event(event, offset),
                type=event.type,
                run=None if event.run is UNSET else event.run,
                phase=None if event.phase is UNSET else event.phase,
                id=identity,
                subject=subject,
                at=self._now,
            )
        )
        return offset

    def _with_progress(self, event: Event) -> Event:
        """Give a failure the progress its phase had reached, if its publisher left it out."""
        phase = (event.run, event.phase)
        if event.type == "phase_failed" and event.progress is UNSET:
            reached = self._progress.get(phase)
            event = complete(event, self._log.progress(event) if reached is None else reached)
        if event.progress is not UNSET:
            self._progress[phase] = event.progress
        return event
