"""The phase states of a journal: what is known of each phase once its events are forgotten.

They are written only now and then, some at a time: those that have not been written yet follow
from the events behind the newest one that was.
"""

from collections.abc import Iterator, Sequence

import msgspec

from monitor.journalfile import JournalFile
from monitor.journalrows import Entry, Stored, events_of
from monitor.phaseindex import MAX_STATE_BYTES, Change, PhaseIndex, PhaseName

#: States written in one turn: they hold up deliveries for some milliseconds.
_SAVED_AT_ONCE = 250

_SAVE = (
    "INSERT INTO phases (run, phase, offset, payload) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (run, phase) DO UPDATE SET offset = excluded.offset, payload = excluded.payload"
)
_DROP = "DELETE FROM phases WHERE offset NOT IN (SELECT value FROM json_each(?))"


class _About(msgspec.Struct, frozen=True):
    """What is read of a payload to know which phase's state it tells, if any."""

    type: str
    run: str = ""
    phase: str | None = None


_read_about = msgspec.json.Decoder(_About).decode


class JournalStates:
    """The states of one open journal.

    Args:
        max_bytes: of payloads; the longest unchanged give way beyond it, at the latest beyond
            `phaseindex.MAX_STATE_BYTES`.

    Attributes:
        max_bytes: the bound in force.
        saved: the states of events up to this offset are in their table, as far as they tell any.
    """

    def __init__(self, file: JournalFile, max_bytes: int) -> None:
        self.max_bytes = min(max_bytes, MAX_STATE_BYTES)
        self.saved = 0
        self._noted = 0  # the newest offset that was looked at
        self._file = file
        self._newest: PhaseIndex[int] = PhaseIndex(max_bytes=self.max_bytes)  # offsets
        self._saved_drops = 0  # so many of those that gave way are out of the table
        self._read()

    def note(self, entries: Sequence[Entry]) -> None:
        """Take up events that were stored, in order."""
        if entries:
            self._noted = entries[-1].offset
        self._newest.note_all(
            [
                Change(name, entry.offset, len(entry.payload))
                for entry in entries
                if (name := _told(entry.type, entry.run, entry.phase)) is not None
            ]
        )

    def payloads(self) -> list[bytes]:
        """Return the newest phase event's payload of each run and phase, oldest first."""
        held = sorted(self._newest.values())
        saved = dict(self._file.rows("SELECT offset, payload FROM phases"))
        payloads = saved | self._unsaved([offset for offset in held if offset > self.saved])
        return [payloads[offset] for offset in held]

    def save(self) -> bool:
        """Write some of the states that are not in their table yet; tell whether all are now.

        Raises:
            JournalError: nothing was written.
        """
        dropped = self._newest.dropped
        if self.saved == self._noted and dropped == self._saved_drops:
            return True
        held = [*self._newest.items()]
        behind = sorted(offset for _, offset in held if offset > self.saved)
        if not behind and dropped == self._saved_drops:
            self.saved = self._noted
            return True
        payloads = self._unsaved(behind[:_SAVED_AT_ONCE])
        changed = [(*name, offset, payloads[offset]) for name, offset in held if offset in payloads]
        with self._file.transaction() as database:
            if dropped != self._saved_drops:
                # Those that gave way, and those whose newer state is written now or later.
                kept = msgspec.json.encode([offset for _, offset in held]).decode()
                database.execute(_DROP, (kept,))
            database.executemany(_SAVE, changed)
        self.saved = max(payloads, default=self.saved)
        self._saved_drops = dropped
        return len(payloads) == len(behind)

    def _read(self) -> None:
        """Take up the states that were saved, then those that follow from later events."""
        query = "SELECT run, phase, offset, length(payload) FROM phases ORDER BY offset"
        for run, phase, offset, size in self._file.rows(query):
            self._newest.note(Change((run, phase), offset, size))
            self.saved = self._noted = offset
        for offset, payload in self._behind(self.saved):
            try:
                about = _read_about(payload)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise self._file.damaged(f"an event cannot be read: {error}") from error
            self._noted = offset
            name = _told(about.type, about.run, about.phase)
            if name is not None:
                self._newest.note(Change(name, offset, len(payload)))

    def _unsaved(self, offsets: Sequence[int]) -> dict[int, bytes]:
        """Return the payloads of events, by offset; there may be any number of others."""
        payloads: dict[int, bytes] = {}
        for offset in offsets:
            if offset in payloads:
                continue
            query = "SELECT offset, payload FROM events WHERE offset >= ? ORDER BY offset LIMIT 1"
            for row in self._file.rows(query, (offset,)):
                payloads |= dict(events_of(row))
            if offset not in payloads:
                raise self._file.damaged(f"the event of offset {offset} is missing")
        return {offset: payloads[offset] for offset in offsets}

    def _behind(self, offset: int) -> Iterator[Stored]:
        """Yield the events behind an offset."""
        query = "SELECT offset, payload FROM events WHERE offset > ? ORDER BY offset"
        for row in self._file.rows(query, (offset,)):
            for event in events_of(row):
                if event.offset > offset:
                    yield event


def _told(kind: str, run: str | None, phase: str | None) -> PhaseName | None:
    """Return which phase's state an event of this type tells, or None."""
    return (run or "", phase) if phase is not None and kind.startswith("phase_") else None
