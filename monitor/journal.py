"""The journal: the durable log behind the one in memory.

What `append` returned from survives `kill -9` of the process; with `synchronous="FULL"` loss of
power, too. Offsets and phases are handed in: the journal orders nothing, and of a payload it reads
no more than which phase it is about, after a crash.

Events are written at once; the phase states they lead to only now and then, as those that have
not been written yet follow from the events behind the newest one that was.
"""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from monitor.contract.verdicts import UsageError
from monitor.journalfile import (
    LEFT_AS_IT_IS,
    PAGE_BYTES,
    JournalError,
    advice,
    open_database,
    translated,
)
from monitor.journalrows import ROW_EVENTS, Entry, Stored, events_of, rows_of
from monitor.phaseindex import PhaseIndex, PhaseName

#: The smallest bound on bytes that leaves room for the tables themselves.
MIN_BYTES = 1_000_000

#: Fewest events one `prune` looks at.
_PRUNE_EVENTS = 200

_INSERT = "INSERT INTO events (offset, payload, id, subject, at) VALUES (?, ?, ?, ?, ?)"
_SAVE_STATE = (
    "INSERT INTO phases (run, phase, offset, payload) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (run, phase) DO UPDATE SET offset = excluded.offset, payload = excluded.payload"
)
_DROP_STATES = "DELETE FROM phases WHERE offset NOT IN (SELECT value FROM json_each(?))"


class _About(msgspec.Struct, frozen=True):
    """What is read of a payload to know which phase's state it tells, if any."""

    type: str
    run: str = ""
    phase: str | None = None


_read_about = msgspec.json.Decoder(_About).decode


class Journal:
    """The open journal. See `Journal.open`.

    Attributes:
        epoch: 128 random bits in hex, drawn when the file was created: offsets of another epoch
            mean nothing here.
        last: offset of the newest entry ever appended; 0 for none. Never given twice.
    """

    def __init__(
        self,
        path: Path,
        database: sqlite3.Connection,
        *,
        max_events: int,
        max_bytes: int,
        max_age_s: float,
    ) -> None:
        self._path = path
        self._database = database
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._appended = 0  # since the last pruning
        self._phases: PhaseIndex[int] = PhaseIndex()  # offsets of the newest phase events
        self._saved = 0  # states up to this offset are in their table
        self._saved_drops = 0  # and so many that gave way are out of it
        self._read_phases()
        self.epoch, pruned = self._row("SELECT epoch, pruned FROM journal")
        (highest,) = self._row("SELECT max(offset) FROM events")
        self._first: int = pruned + 1
        self.last: int = max(highest or 0, pruned)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        max_events: int,
        max_bytes: int,
        max_age_s: float,
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
    ) -> Self:
        """Open the journal at `path`, or create it (mode 0600) with a fresh epoch.

        `max_bytes` bounds the file's pages in use; beside it stands a WAL of about 1 MiB. An
        existing file is checked whole, which takes about a second per GB in the page cache.

        Raises:
            UsageError: the file is not a journal, damaged, of a newer format, in use by another
                process, or cannot be read and written. It is left as it is.
            ValueError: a bound too small to hold anything.
        """
        if max_events < 1 or max_bytes < MIN_BYTES or max_age_s <= 0:
            raise ValueError(
                f"journal of {max_events} events, {max_bytes} bytes, {max_age_s} s: expected"
                f" bounds of at least 1, {MIN_BYTES} and more than 0"
            )
        try:
            database = open_database(path, synchronous)
        except (sqlite3.Error, OSError, JournalError) as error:
            raise UsageError(f"journal {path}: {error}; {advice(error)}") from error
        try:
            return cls(
                path,
                database,
                max_events=max_events,
                max_bytes=max_bytes,
                max_age_s=max_age_s,
            )
        except JournalError as error:
            database.close()
            raise UsageError(f"{error}") from error

    @property
    def first(self) -> int:
        """Offset of the oldest entry kept; `last + 1` when none is."""
        return self._first

    def append(self, entries: Sequence[Entry]) -> None:
        """Store entries that continue at `last + 1`: all of them, durably, or none.

        Raises:
            JournalFullError: no space or a failing device; nothing was stored, try again later.
            RepeatedIdError: a publisher's id is stored already, or stands twice among these.
            ValueError: offsets with a hole, or a payload of several lines.
            JournalError: the file is damaged.
        """
        start = self.last + 1
        if [entry.offset for entry in entries] != [*range(start, start + len(entries))]:
            raise ValueError(f"journal {self._path}: entries do not continue at {start}")
        rows = rows_of(entries)
        if len(rows) == 1:  # a transaction by itself
            with translated(self._path):
                self._database.execute(_INSERT, rows[0])
        else:
            with self._transaction() as database:
                database.executemany(_INSERT, rows)
        self._phases.note_all(
            [
                (name, entry.offset)
                for entry in entries
                if (name := _phase(entry.type, entry.run, entry.phase)) is not None
            ]
        )
        self.last += len(entries)
        self._appended += len(entries)

    def find(self, subject: str, ids: Sequence[str]) -> dict[str, int]:
        """Return the offset of each of a publisher's ids that is stored."""
        if len(ids) == 1:
            query = "SELECT id, offset FROM events WHERE subject = ? AND id = ?"
            return dict(self._rows(query, (subject, ids[0])))
        query = (
            "SELECT id, offset FROM events"
            " WHERE subject = ? AND id IN (SELECT value FROM json_each(?))"
        )
        return dict(self._rows(query, (subject, msgspec.json.encode(ids).decode())))

    def read(self, after: int, limit: int) -> list[Stored]:
        """Return up to `limit` events with offsets above `after`, in order."""
        return [*islice(self._after(max(after, self._first - 1)), limit)]

    def tail(self, max_events: int, max_bytes: int) -> list[Stored]:
        """Return the newest events, in order, so many as both bounds (payload bytes) allow.

        Raises:
            UsageError: one is missing; the file is closed.
        """
        newest: list[Stored] = []
        expected = self.last
        for event in self._backwards():
            if event.offset != expected:
                break
            max_bytes -= len(event.payload)
            if max_bytes < 0 or len(newest) == max_events:
                return newest[::-1]
            newest.append(event)
            expected -= 1
        if expected >= self._first:
            raise self.damaged(_missing(expected))
        return newest[::-1]

    def states(self) -> list[bytes]:
        """Return the newest phase event's payload of each run and phase, oldest first.

        They outlive the pruning of the events, within the bounds of `PhaseIndex`.
        """
        held = sorted(self._phases.values())
        payloads = dict(self._rows("SELECT offset, payload FROM phases", ())) | self._unsaved(held)
        return [payloads[offset] for offset in held]

    def prune(self, now: float) -> int:
        """Forget the oldest entries beyond the bounds at `now` (unix s); return how many.

        Writes phase states, too: those of entries that go away would be lost otherwise.

        One call handles at most 200 entries, or twice those appended since the last call if
        that is more: called now and then, it keeps pace with any rate. Freed pages are used
        again; the file does not shrink.

        Raises:
            JournalFullError: the deletion itself found no space; nothing was forgotten.
        """
        limit = max(_PRUNE_EVENTS, 2 * self._appended)
        upto = self._prunable(now, min(self.last, self._first + limit - 1))
        self._save_states()
        if upto >= self._first:
            with self._transaction() as database:
                database.execute("DELETE FROM events WHERE offset <= ?", (upto,))
                database.execute("UPDATE journal SET pruned = ?", (upto,))
        forgotten = max(0, upto - self._first + 1)
        self._first += forgotten
        self._appended = 0
        return forgotten

    def close(self) -> None:
        """Copy the WAL into the file and close it. Idempotent."""
        with contextlib.suppress(sqlite3.ProgrammingError):  # closed already
            with contextlib.suppress(JournalError):  # the states follow from the events
                self._save_states()
            with contextlib.suppress(sqlite3.OperationalError):  # the WAL keeps what was stored
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._database.close()

    def damaged(self, what: str) -> UsageError:
        """Return the error that says so; the file is closed, and stays as it is."""
        self._database.close()
        return UsageError(f"journal {self._path}: damaged: {what}; {LEFT_AS_IT_IS}")

    def used_bytes(self) -> int:
        """Return the bytes of the file's pages in use: what `max_bytes` bounds."""
        (pages,) = self._row("PRAGMA page_count")
        (free,) = self._row("PRAGMA freelist_count")
        return int(pages - free) * PAGE_BYTES

    def _prunable(self, now: float, end: int) -> int:
        """Return the last offset up to `end` that the bounds no longer allow."""
        kept = self.last - self._first + 1
        if kept <= 0:
            return self._first - 1
        by_count = self.last - self._max_events
        # `at` need not be in order, as clocks are set: what is young enough shields what follows.
        query = (
            "SELECT offset, payload FROM events WHERE offset < ? AND at > ? ORDER BY offset LIMIT 1"
        )
        young = next(self._rows(query, (end + ROW_EVENTS, now - self._max_age_s)), None)
        by_age = end if young is None else events_of(young)[0].offset - 1
        excess = self.used_bytes() - self._max_bytes
        by_bytes = self._first - 1
        if excess > 0:  # entries are taken to be of one size; the next call corrects it
            by_bytes += -(-kept * excess // (excess + self._max_bytes))
        return min(end, max(by_count, by_age, by_bytes))

    def _unsaved(self, offsets: Iterable[int]) -> dict[int, bytes]:
        """Return the payloads of those of the offsets whose states are not in their table yet."""
        wanted = {offset for offset in offsets if offset > self._saved}
        if not wanted:
            return {}
        payloads = {
            event.offset: event.payload
            for event in self._after(self._saved)
            if event.offset in wanted
        }
        if len(payloads) < len(wanted):
            missing = _missing(min(wanted - payloads.keys()))
            raise JournalError(f"journal {self._path}: {missing}; {LEFT_AS_IT_IS}")
        return payloads

    def _after(self, offset: int) -> Iterator[Stored]:
        """Yield what was stored behind an offset, oldest first."""
        query = "SELECT offset, payload FROM events WHERE offset > ? ORDER BY offset"
        for row in self._rows(query, (offset,)):
            for event in events_of(row):
                if event.offset > offset:
                    yield event

    def _backwards(self) -> Iterator[Stored]:
        """Yield what is kept, newest first."""
        for row in self._rows("SELECT offset, payload FROM events ORDER BY offset DESC", ()):
            for event in reversed(events_of(row)):
                if event.offset >= self._first:
                    yield event

    def _read_phases(self) -> None:
        """Take up the states that were saved, then those that follow from later events."""
        for run, phase, offset in self._rows(
            "SELECT run, phase, offset FROM phases ORDER BY 3", ()
        ):
            self._phases.note((run, phase), offset)
            self._saved = offset
        for offset, payload in self._after(self._saved):
            name = self._phase_told(payload)
            if name is not None:
                self._phases.note(name, offset)

    def _phase_told(self, payload: bytes) -> PhaseName | None:
        """Return which phase's state a stored payload tells, or None."""
        try:
            about = _read_about(payload)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self.damaged(f"an event cannot be read: {error}") from error
        return _phase(about.type, about.run, about.phase)

    def _save_states(self) -> None:
        """Bring the table of phase states up to date, if it is not."""
        offsets = [*self._phases.values()]
        payloads = self._unsaved(offsets)
        if not payloads:
            return
        changed = [
            (*name, offset, payloads[offset])
            for name, offset in self._phases.items()
            if offset in payloads
        ]
        dropped = self._phases.dropped
        with self._transaction() as database:
            database.executemany(_SAVE_STATE, changed)
            if dropped != self._saved_drops:
                database.execute(_DROP_STATES, (msgspec.json.encode(offsets).decode(),))
        self._saved = max(offsets)
        self._saved_drops = dropped

    def _row(self, query: str, parameters: tuple[object, ...] = ()) -> tuple[Any, ...]:
        with translated(self._path):
            row: tuple[Any, ...] = self._database.execute(query, parameters).fetchone()
        return row

    def _rows(self, query: str, parameters: tuple[object, ...]) -> Iterator[tuple[Any, ...]]:
        with translated(self._path):
            yield from self._database.execute(query, parameters)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with translated(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # SQLite may have undone it already
                    self._database.execute("ROLLBACK")
                raise


def _phase(kind: str, run: str | None, phase: str | None) -> PhaseName | None:
    """Return which phase's state an event of this type tells, or None."""
    return (run or "", phase) if phase is not None and kind.startswith("phase_") else None


def _missing(offset: int) -> str:
    return f"the event of offset {offset} is missing"
