"""The phase states of a journal: what is known of each phase once its events are forgotten.

They are written only now and then, some at a time: those that have not been written yet follow
from the events behind the newest one that was.
"""

from collections.abc import Iterable, Iterator, Sequence

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
        saved: the states of events up to this offset are in their table.
    """

    def __init__(self, file: JournalFile, max_bytes: int) -> None:
        self.max_bytes = min(max_bytes, MAX_STATE_BYTES)
        self.saved = 0
        self._file = file
        self._newest: PhaseIndex[int] = PhaseIndex(max_bytes=self.max_bytes)  # offsets
        self._saved_drops = 0  # so many of those that gave way are out of the table
        self._read()

    def note(self, entries: Sequence[Entry]) -> None:
        """Take up events that were stored."""
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
        held = [*self._newest.items()]
        behind = sorted(offset for _, offset in held if offset > self.saved)
        dropped = self._newest.dropped
        if not behind and dropped == self._saved_drops:
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
            self.saved = offset
        for offset, payload in self._behind():
            try:
                about = _read_about(payload)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise self._file.damaged(f"an event cannot be read: {error}") from error
            name = _told(about.type, about.run, about.phase)
            if name is not None:
                self._newest.note(Change(name, offset, len(payload)))

    def _unsaved(self, offsets: Iterable[int]) -> dict[int, bytes]:
        """Return the payloads of events behind the newest whose state is in the table."""
        wanted = set(offsets)
        payloads: dict[int, bytes] = {}
        if not wanted:
            return payloads
        for event in self._behind():
            if event.offset in wanted:
                payloads[event.offset] = event.payload
                if len(payloads) == len(wanted):
                    return payloads
        missing = min(wanted - payloads.keys())
        raise self._file.damaged(f"the event of offset {missing} is missing")

    def _behind(self) -> Iterator[Stored]:
        """Yield the events behind the newest whose state is in the table."""
        query = "SELECT offset, payload FROM events WHERE offset > ? ORDER BY offset"
        for row in self._file.rows(query, (self.saved,)):
            for event in events_of(row):
                if event.offset > self.saved:
                    yield event


def _told(kind: str, run: str | None, phase: str | None) -> PhaseName | None:
    """Return which phase's state an event of this type tells, or None."""
    return (run or "", phase) if phase is not None and kind.startswith("phase_") else None
