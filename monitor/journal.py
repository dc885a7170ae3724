"""The journal: the durable log behind the one in memory. One SQLite file in WAL mode.

What `append` returned from survives `kill -9` of the process; with `synchronous="FULL"` loss of
power, too. The file is locked for as long as it is open, so that two servers cannot share one.
Offsets and phases are handed in: the journal orders nothing and decodes nothing.

Events are written at once; the phase states they lead to only now and then, as those that have
not been written yet follow from the events behind the newest one that was.
"""

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from monitor.contract.verdicts import UsageError, WsproofError
from monitor.phaseindex import PhaseIndex
from monitor.sqlitefile import create_private, require_ours

#: Version of the tables. 1: first format.
FORMAT_VERSION = 1

#: "wspj": marks the file as ours (https://www.sqlite.org/pragma.html#pragma_application_id).
APPLICATION_ID = 0x7773706A

#: The smallest bound on bytes that leaves room for the tables themselves.
MIN_BYTES = 1_000_000

# The WAL is copied into the file at this many pages (1 MiB), and cut to that size afterwards. The
# copying holds up one commit, for a time that grows with the pages: small and often beats rarely.
_CHECKPOINT_PAGES = 250
_PAGE_BYTES = 4_096
_WAL_BYTES = _CHECKPOINT_PAGES * _PAGE_BYTES

#: Fewest rows one `prune` looks at.
_PRUNE_ROWS = 200

_LEFT_AS_IT_IS = "it was left as it is: restore it, or move it away to start with an empty journal"

_SCHEMA = f"""
CREATE TABLE events (
    offset INTEGER PRIMARY KEY, payload BLOB NOT NULL, type TEXT NOT NULL, run TEXT, phase TEXT,
    id TEXT, subject TEXT NOT NULL, at REAL NOT NULL
);
CREATE UNIQUE INDEX events_by_publisher_id ON events (subject, id) WHERE id IS NOT NULL;
CREATE TABLE phases (
    run TEXT NOT NULL, phase TEXT NOT NULL, offset INTEGER NOT NULL, payload BLOB NOT NULL,
    PRIMARY KEY (run, phase)
) WITHOUT ROWID;
CREATE TABLE journal (epoch TEXT NOT NULL, pruned INTEGER NOT NULL);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT_VERSION};
"""

_COLUMNS = "offset, payload, type, run, phase, id, subject, at"
_INSERT = f"INSERT INTO events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - ours
_SELECT = f"SELECT {_COLUMNS} FROM events"  # noqa: S608 - constant names
_SAVE_STATE = (
    "INSERT INTO phases SELECT ifnull(run, ''), phase, offset, payload FROM events WHERE offset = ?"
    " ON CONFLICT (run, phase) DO UPDATE SET offset = excluded.offset, payload = excluded.payload"
)
_DROP_STATES = "DELETE FROM phases WHERE offset NOT IN (SELECT value FROM json_each(?))"
_STATES = """
SELECT offset, payload FROM phases WHERE offset IN (SELECT value FROM json_each(?1))
UNION SELECT offset, payload FROM events WHERE offset IN (SELECT value FROM json_each(?1))
ORDER BY offset
"""


class JournalError(WsproofError):
    """The journal cannot be used any more."""


class JournalFullError(JournalError):
    """Nothing could be stored now: no space, or the device failed. Worth trying again."""


class RepeatedIdError(WsproofError):
    """An entry has a publisher's id that is stored already; `find` tells where."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One accepted event: `payload` is its JSON as delivered, `at` when (unix s).

    `run` is None or not empty. `id` is the publisher's own, unique within its `subject`.
    """

    offset: int
    payload: bytes
    type: str
    run: str | None
    phase: str | None
    id: str | None
    subject: str
    at: float


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
        lowest, highest = self._row("SELECT min(offset), max(offset) FROM events")
        self.last: int = max(highest or 0, pruned)
        self._first: int = lowest or self.last + 1

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
        database = None
        try:
            create_private(path)
            require_ours(path, "journal", APPLICATION_ID, FORMAT_VERSION)
            database = sqlite3.connect(path, timeout=0, isolation_level=None)
            _prepare(database, synchronous)
            return cls(
                path,
                database,
                max_events=max_events,
                max_bytes=max_bytes,
                max_age_s=max_age_s,
            )
        except (sqlite3.Error, OSError, JournalError) as error:
            if database is not None:
                database.close()
            raise UsageError(f"journal {path}: {error}; {_advice(error)}") from error

    @property
    def first(self) -> int:
        """Offset of the oldest entry kept; `last + 1` when none is."""
        return self._first

    def append(self, entries: Sequence[Entry]) -> None:
        """Store entries that continue at `last + 1`: all of them, durably, or none.

        Raises:
            JournalFullError: no space or a failing device; nothing was stored, try again later.
            RepeatedIdError: a publisher's id is stored already, or stands twice among these.
            ValueError: offsets with a hole.
            JournalError: the file is damaged.
        """
        start = self.last + 1
        if [entry.offset for entry in entries] != [*range(start, start + len(entries))]:
            raise ValueError(f"journal {self._path}: entries do not continue at {start}")
        rows = [msgspec.structs.astuple(entry) for entry in entries]
        if len(rows) == 1:  # a transaction by itself
            with _translated(self._path):
                self._database.execute(_INSERT, rows[0])
        else:
            with self._transaction() as database:
                database.executemany(_INSERT, rows)
        self._phases.note_all(
            [
                ((entry.run or "", entry.phase), entry.offset)
                for entry in entries
                if entry.phase is not None and entry.type.startswith("phase_")
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

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return up to `limit` entries with offsets above `after`, in order."""
        rows = self._rows(f"{_SELECT} WHERE offset > ? ORDER BY offset LIMIT ?", (after, limit))
        return [Entry(*row) for row in rows]

    def tail(self, max_events: int, max_bytes: int) -> list[Entry]:
        """Return the newest entries, in order, so many as both bounds (payload bytes) allow."""
        newest: list[Entry] = []
        room = max_bytes
        for row in self._rows(f"{_SELECT} ORDER BY offset DESC LIMIT ?", (max_events,)):
            entry = Entry(*row)
            room -= len(entry.payload)
            if room < 0:
                break
            newest.append(entry)
        newest.reverse()
        return newest

    def states(self) -> list[bytes]:
        """Return the newest phase event's payload of each run and phase, oldest first.

        They outlive the pruning of the events, within the bounds of `PhaseIndex`.
        """
        held = msgspec.json.encode([*self._phases.values()]).decode()
        return [payload for _, payload in self._rows(_STATES, (held,))]

    def prune(self, now: float) -> int:
        """Forget the oldest entries beyond the bounds at `now` (unix s); return how many.

        Writes phase states, too: those of entries that go away would be lost otherwise.

        One call handles at most 200 entries, or twice those appended since the last call if
        that is more: called now and then, it keeps pace with any rate. Freed pages are used
        again; the file does not shrink.

        Raises:
            JournalFullError: the deletion itself found no space; nothing was forgotten.
        """
        limit = max(_PRUNE_ROWS, 2 * self._appended)
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
        return UsageError(f"journal {self._path}: damaged: {what}; {_LEFT_AS_IT_IS}")

    def used_bytes(self) -> int:
        """Return the bytes of the file's pages in use: what `max_bytes` bounds."""
        (pages,) = self._row("PRAGMA page_count")
        (free,) = self._row("PRAGMA freelist_count")
        return int(pages - free) * _PAGE_BYTES

    def _prunable(self, now: float, end: int) -> int:
        """Return the last offset up to `end` that the bounds no longer allow."""
        kept = self.last - self._first + 1
        if kept <= 0:
            return self._first - 1
        by_count = self.last - self._max_events
        # `at` need not be in order, as clocks are set: what is young enough shields what follows.
        (young,) = self._row(
            "SELECT min(offset) FROM events WHERE offset <= ? AND at > ?",
            (end, now - self._max_age_s),
        )
        by_age = end if young is None else young - 1
        excess = self.used_bytes() - self._max_bytes
        by_bytes = self._first - 1
        if excess > 0:  # entries are taken to be of one size; the next call corrects it
            by_bytes += -(-kept * excess // (excess + self._max_bytes))
        return min(end, max(by_count, by_age, by_bytes))

    def _read_phases(self) -> None:
        """Take up the states that were saved, then those that follow from later events."""
        for run, phase, offset in self._rows(
            "SELECT run, phase, offset FROM phases ORDER BY 3", ()
        ):
            self._phases.note((run, phase), offset)
            self._saved = offset
        later = (
            "SELECT ifnull(run, ''), phase, offset FROM events"
            " WHERE offset > ? AND phase IS NOT NULL AND type GLOB 'phase_*' ORDER BY offset"
        )
        for run, phase, offset in self._rows(later, (self._saved,)):
            self._phases.note((run, phase), offset)

    def _save_states(self) -> None:
        """Bring the table of phase states up to date, if it is not."""
        held = [*self._phases.values()]
        changed = [(offset,) for offset in held if offset > self._saved]
        if not changed:
            return
        dropped = self._phases.dropped
        with self._transaction() as database:
            database.executemany(_SAVE_STATE, changed)
            if dropped != self._saved_drops:
                database.execute(_DROP_STATES, (msgspec.json.encode(held).decode(),))
        self._saved = max(held)
        self._saved_drops = dropped

    def _row(self, query: str, parameters: tuple[object, ...] = ()) -> tuple[Any, ...]:
        with _translated(self._path):
            row: tuple[Any, ...] = self._database.execute(query, parameters).fetchone()
        return row

    def _rows(self, query: str, parameters: tuple[object, ...]) -> Iterator[tuple[Any, ...]]:
        with _translated(self._path):
            yield from self._database.execute(query, parameters)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _translated(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # SQLite may have undone it already
                    self._database.execute("ROLLBACK")
                raise


def _prepare(database: sqlite3.Connection, synchronous: Literal["NORMAL", "FULL"]) -> None:
    """Lock the file, create the tables in an empty one, and check a full one."""
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    if database.execute("PRAGMA user_version").fetchone() == (0,):
        # With a rollback journal, so that the header is in the file itself, whole or not at all.
        database.executescript(f"BEGIN EXCLUSIVE; {_SCHEMA}")
        database.execute("INSERT INTO journal VALUES (?, 0)", (secrets.token_hex(16),))
        database.execute("COMMIT")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"PRAGMA synchronous = {synchronous}")
    database.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    database.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    found = database.execute("PRAGMA quick_check(1)").fetchone()
    if found != ("ok",):
        raise JournalError(f"damaged: {found[0]}")
    # A write at once: the lock is had now or never, and a read-only file shows itself.
    database.execute("UPDATE journal SET pruned = pruned")


def _advice(error: Exception) -> str:
    """Say what to do about a journal that cannot be opened."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "another process, most likely a running `wsproof serve`, uses this state folder"
    if isinstance(error, OSError) or (code is not None and code & 0xFF in _DEVICE_ERRORS):
        return "check its permissions, its owner and the space left in its folder"
    return _LEFT_AS_IT_IS


# Extended result codes carry these in their low byte (https://www.sqlite.org/rescode.html).
_DEVICE_ERRORS = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
}


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Tell a full disk, which passes, from a damaged file, which does not."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        stored = f"journal {path}: an entry is stored already: {error}"
        if error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
            raise RepeatedIdError(stored) from error
        raise ValueError(stored) from error
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in _DEVICE_ERRORS:
            raise JournalFullError(
                f"journal {path}: nothing can be stored: {error}; make space in its folder, events"
                " are refused until then"
            ) from error
        raise JournalError(f"journal {path}: {error}; {_advice(error)}") from error
