"""The journal: the durable log behind the one in memory.

What `append` returned from survives `kill -9` of the process; with `synchronous="FULL"` loss of
power, too. Offsets and phases are handed in: the journal orders nothing.

An epoch is one history of offsets. It outlives restarts and crashes; a journal that does not have
what it once had goes on under a new one.
"""

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Self

import msgspec

from monitor.contract.verdicts import UsageError
from monitor.journalfile import JournalError, JournalFile, advice
from monitor.journalrows import ROW_EVENTS, Entry, Stored, events_of, rows_of
from monitor.journalstates import JournalStates
from monitor.witness import Witness

#: The smallest bound on bytes that leaves room for the tables themselves.
MIN_BYTES = 1_000_000

#: Phase states take at most this part of the bytes, so that events have most of them.
_STATES_PART = 4

#: Fewest events one `prune` looks at.
_PRUNE_EVENTS = 1_000

#: What `PRAGMA synchronous` says of FULL (https://www.sqlite.org/pragma.html#pragma_synchronous).
_FULL = 2

_INSERT = "INSERT INTO events (offset, payload, id, subject, at) VALUES (?, ?, ?, ?, ?)"


class Journal:
    """The open journal. See `Journal.open`.

    Attributes:
        epoch: 128 random bits in hex, drawn when the file was created, and whenever it is found
            to be behind what it was: offsets of another epoch mean nothing here.
        last: offset of the newest entry ever appended; 0 for none. Never given twice in an epoch.
        set_back: the epoch is a new one, because the file was restored or lost its end.
    """

    def __init__(
        self,
        file: JournalFile,
        witness: Witness,
        *,
        max_events: int,
        max_bytes: int,
        max_age_s: float,
    ) -> None:
        self._file = file
        self._witness = witness
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._appended = 0  # since the last pruning
        self._begun = False
        self._missing = False  # the file is not where it was opened
        self._states = JournalStates(file, max_bytes // _STATES_PART)
        self.epoch, pruned = file.row("SELECT epoch, pruned FROM journal")
        (highest,) = file.row("SELECT max(offset) FROM events")
        self._first: int = pruned + 1
        self.last: int = max(highest or 0, pruned)
        self.set_back = not witness.confirms(self.epoch, self.last)
        if self.set_back:
            self.epoch = secrets.token_hex(16)

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
        existing file is checked whole, which takes a second or two per GB in the page cache.

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
        with contextlib.ExitStack() as undo:
            file = JournalFile.open(path, synchronous)
            undo.callback(file.close)
            try:
                witness = Witness.open(path, file.found)
                undo.callback(witness.abandon)
                journal = cls(
                    file,
                    witness,
                    max_events=max_events,
                    max_bytes=max_bytes,
                    max_age_s=max_age_s,
                )
            except JournalError as error:
                raise UsageError(f"{error}") from error
            except OSError as error:
                raise UsageError(f"journal {path}: {error}; {advice(error)}") from error
            undo.pop_all()
        return journal

    @property
    def first(self) -> int:
        """Offset of the oldest entry kept; `last + 1` when none is."""
        return self._first

    @property
    def max_state_bytes(self) -> int:
        """Bound on the bytes of the phase states' payloads."""
        return self._states.max_bytes

    def begin(self) -> None:
        """Take it up: what is appended from now on belongs to its epoch. Before any `append`.

        Raises:
            JournalError: nothing can be stored.
        """
        if self.set_back:
            self._file.execute("UPDATE journal SET epoch = ?", (self.epoch,))
        (synchronous,) = self._file.row("PRAGMA synchronous")
        try:
            self._witness.begin(self.epoch, self.last, durable=synchronous >= _FULL)
        except OSError as error:
            raise JournalError(f"journal {self._file.path}: {error}; {advice(error)}") from error
        self._begun = True

    def append(self, entries: Sequence[Entry]) -> None:
        """Store entries that continue at `last + 1`: all of them, durably, or none.

        Raises:
            JournalFullError: no space or a failing device; nothing was stored, try again later.
            RepeatedIdError: a publisher's id is stored already, or stands twice among these.
            ValueError: offsets with a hole, or a payload of several lines.
            JournalError: the file is damaged, or was taken away.
        """
        start = self.last + 1
        if [entry.offset for entry in entries] != [*range(start, start + len(entries))]:
            raise ValueError(f"journal {self._file.path}: entries do not continue at {start}")
        if self._missing:
            raise self._taken_away()
        rows = rows_of(entries)
        if len(rows) == 1:
            self._file.execute(_INSERT, rows[0])
        else:
            with self._file.transaction() as database:
                database.executemany(_INSERT, rows)
        self._states.note(entries)
        self.last += len(entries)
        self._appended += len(entries)
        self._witness.note(self.last)

    def find(self, subject: str, ids: Sequence[str]) -> dict[str, int]:
        """Return the offset of each of a publisher's ids that is stored."""
        if len(ids) == 1:
            query = "SELECT id, offset FROM events WHERE subject = ? AND id = ?"
            return dict(self._file.rows(query, (subject, ids[0])))
        query = (
            "SELECT id, offset FROM events"
            " WHERE subject = ? AND id IN (SELECT value FROM json_each(?))"
        )
        return dict(self._file.rows(query, (subject, msgspec.json.encode(ids).decode())))

    def tail(self, max_events: int, max_bytes: int) -> list[Stored]:
        """Return the newest events, in order, so many as both bounds (payload bytes) allow.

        Raises:
            JournalError: one is missing.
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
            raise self._file.damaged(f"the event of offset {expected} is missing")
        return newest[::-1]

    def states(self) -> list[bytes]:
        """Return the newest phase event's payload of each run and phase, oldest first.

        They outlive the pruning of the events, within the bounds of `PhaseIndex` and
        `max_state_bytes`.
        """
        return self._states.payloads()

    def check(self) -> None:
        """See that the file still stands where it was opened.

        What is stored in one that does not would be lost with the process: until it is back,
        nothing is.

        Raises:
            JournalError: it was removed, or another file took its place.
        """
        try:
            self._missing = self._file.path.stat().st_ino != self._file.found.inode
        except OSError:
            self._missing = True
        if self._missing:
            raise self._taken_away()

    def prune(self, now: float) -> int:
        """Forget the oldest entries beyond the bounds at `now` (unix s); return how many.

        Writes phase states, too: those of entries that go away would be lost otherwise.

        One call handles a bounded number of entries and of states, but twice as many entries as
        were appended since the last call: called now and then, it keeps pace with any rate.
        Freed pages are used again; the file does not shrink.

        Raises:
            JournalFullError: the deletion itself found no space; nothing was forgotten.
        """
        limit = max(_PRUNE_EVENTS, 2 * self._appended)
        upto = self._prunable(now, min(self.last, self._first + limit - 1))
        if not self._states.save():
            upto = min(upto, self._states.saved)
        if upto >= self._first:
            with self._file.transaction() as database:
                database.execute("DELETE FROM events WHERE offset <= ?", (upto,))
                database.execute("UPDATE journal SET pruned = ?", (upto,))
        forgotten = max(0, upto - self._first + 1)
        self._first += forgotten
        self._appended = 0
        return forgotten

    def close(self) -> None:
        """Write what is left to be written, copy the WAL into the file, and close it.

        What was never begun is closed as it is.
        """
        if self._begun:
            with contextlib.suppress(JournalError):  # the states follow from the events
                while not self._states.save():
                    pass
        if self._file.close() and self._begun:
            self._witness.close(self.last)
        else:
            self._witness.abandon()

    def damaged(self, what: str) -> JournalError:
        """Return the error that says what is damaged."""
        return self._file.damaged(what)

    def used_bytes(self) -> int:
        """Return the bytes of the file's pages in use: what `max_bytes` bounds."""
        return self._file.used_bytes()

    def _prunable(self, now: float, end: int) -> int:
        """Return the last offset up to `end` that the bounds no longer allow."""
        kept = self.last - self._first + 1
        if kept <= 0:
            return self._first - 1
        by_count = self.last - self._max_events
        excess = self.used_bytes() - self._max_bytes
        by_bytes = self._first - 1
        if excess > 0:  # entries are taken to be of one size; the next call corrects it
            by_bytes += -(-kept * excess // (excess + self._max_bytes))
        return min(end, max(by_count, self._too_old(now, end), by_bytes))

    def _too_old(self, now: float, end: int) -> int:
        """Return the last offset up to `end` whose event, and all before it, are too old.

        Times need not be in order, as clocks are set: what is young enough shields what follows.
        A clock that was ahead delays forgetting so, within the other bounds; to forget too early
        would let retries in twice.
        """
        query = (
            "SELECT offset, payload FROM events WHERE offset < ? AND at > ? ORDER BY offset LIMIT 1"
        )
        bounds = (end + ROW_EVENTS, now - self._max_age_s)
        young = next(self._file.rows(query, bounds), None)
        return end if young is None else events_of(young)[0].offset - 1

    def _backwards(self) -> Iterator[Stored]:
        """Yield what is kept, newest first."""
        for row in self._file.rows("SELECT offset, payload FROM events ORDER BY offset DESC"):
            for event in reversed(events_of(row)):
                if event.offset >= self._first:
                    yield event

    def _taken_away(self) -> JournalError:
        return JournalError(
            f"journal {self._file.path}: removed or replaced while it was open; events are refused"
            " until it is back, or the monitor started again"
        )
