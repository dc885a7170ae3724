"""The event log made again from the journal, when the monitor starts."""

import contextlib
import logging

import msgspec

from monitor import wire
from monitor.contract.verdicts import UsageError
from monitor.eventlog import About, EventLog
from monitor.events import StoredEvent, restore
from monitor.journal import Journal
from monitor.journalfile import JournalError, JournalFullError
from monitor.settings import Settings

log = logging.getLogger("monitor")


def reload(journal: Journal, settings: Settings, now: float) -> EventLog:
    """Return the event log as a journal just opened remembers it, within its bounds of today.

    Raises:
        UsageError: what would be delivered was damaged on the disk; the journal is closed.
    """
    try:
        events = _log_of(journal, settings)
        journal.begin()
        with contextlib.suppress(JournalFullError):  # told by whoever prunes later
            while journal.prune(now):
                pass
    except JournalError as error:
        journal.close()
        raise UsageError(f"{error}") from error
    return events


def _log_of(journal: Journal, settings: Settings) -> EventLog:
    if journal.set_back:
        log.warning(
            "journal: not known to be as it was when the monitor ended: restored, or without its"
            " end; a new epoch begins, clients are given the phase states at offset %d",
            journal.last,
        )
    tail = journal.tail(settings.journal_events, settings.log_bytes)
    events = EventLog(
        journal.epoch,
        tail[0].offset - 1 if tail else journal.last,
        max_bytes=settings.log_bytes,
        max_state_bytes=journal.max_state_bytes,
    )
    states = [(_restored(journal, payload), len(payload)) for payload in journal.states()]
    events.note([(event.offset, event, size) for event, size in states])
    for offset, payload in tail:
        event = _restored(journal, payload, offset)
        events.append(wire.text_frame(payload), About.of(event))
    return events


def _restored(journal: Journal, payload: bytes, offset: int | None = None) -> StoredEvent:
    """Return a stored event, if it is what was stored (at `offset`).

    Raises:
        JournalError: it is not.
    """
    try:
        event = restore(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise journal.damaged(f"an event cannot be read: {error}") from error
    if offset is not None and event.offset != offset:
        raise journal.damaged(f"at offset {offset} stands the event of {event.offset}")
    return event
