"""The journal's file: its tables, how it is opened, checked and locked, and what its errors mean.

One SQLite file in WAL mode, locked for as long as it is open, so that two servers cannot share
one. Knows nothing of what an event is.
"""

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from monitor.contract.verdicts import UsageError, WsproofError
from monitor.sqlitefile import Found, create_private, look_at, require_ours

#: Version of the tables. 2: consecutive events without ids share a row, which has no columns for
#: what is in the payload; a file of version 1 is brought up to it. 1: a row an event.
FORMAT_VERSION = 2
OLDEST_FORMAT = 1

#: "wspj": marks the file as ours (https://www.sqlite.org/pragma.html#pragma_application_id).
APPLICATION_ID = 0x7773706A

PAGE_BYTES = 4_096

# The WAL is copied into the file at this many pages (1 MiB), and cut to that size afterwards. The
# copying holds up one commit, for a time that grows with the pages: small and often beats rarely.
_CHECKPOINT_PAGES = 250
_WAL_BYTES = _CHECKPOINT_PAGES * PAGE_BYTES

#: Offsets are exact as JSON numbers (https://www.rfc-editor.org/rfc/rfc8259#section-6).
_MAX_OFFSET = 2**53 - 1

LEFT_AS_IT_IS = "it was left as it is: restore it, or move it away to start with an empty journal"

# A row of events has one line a payload, and the offset of the last of them.
_EVENTS = """
CREATE TABLE events (
    offset INTEGER PRIMARY KEY, payload BLOB NOT NULL, id TEXT, subject TEXT, at REAL NOT NULL
);
CREATE UNIQUE INDEX events_by_publisher_id ON events (subject, id) WHERE id IS NOT NULL;
"""
_SCHEMA = f"""
{_EVENTS}
CREATE TABLE phases (
    run TEXT NOT NULL, phase TEXT NOT NULL, offset INTEGER NOT NULL, payload BLOB NOT NULL,
    PRIMARY KEY (run, phase)
) WITHOUT ROWID;
CREATE TABLE journal (epoch TEXT NOT NULL, pruned INTEGER NOT NULL);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT_VERSION};
"""

_FROM_VERSION_1 = f"""
BEGIN EXCLUSIVE;
ALTER TABLE events RENAME TO events_1;
DROP INDEX events_by_publisher_id;
{_EVENTS}
INSERT INTO events SELECT offset, payload, id, iif(id IS NULL, NULL, subject), at FROM events_1;
DROP TABLE events_1;
PRAGMA user_version = {FORMAT_VERSION};
COMMIT;
"""  # noqa: S608 - constants


# What holds of every journal, beyond what SQLite sees to: each query gives 1.
_IN_ORDER = {
    "its table of itself": """
        SELECT count(*) = 1 AND min(typeof(epoch) = 'text' AND typeof(pruned) = 'integer')
        FROM journal""",
    "its events": f"""
        SELECT coalesce(min(
            typeof(payload) = 'blob' AND typeof(at) = 'real' AND offset BETWEEN 1 AND {_MAX_OFFSET}
        ), 1) FROM events""",  # noqa: S608 - a constant
    "its phase states": """
        SELECT coalesce(min(
            typeof(run) = 'text' AND typeof(phase) = 'text' AND typeof(payload) = 'blob'
            AND offset BETWEEN 1 AND (
                SELECT max(pruned, (SELECT coalesce(max(offset), 0) FROM events)) FROM journal
            )
        ), 1) AND count(DISTINCT offset) = count(*) FROM phases""",
}


class JournalError(WsproofError):
    """The journal cannot be used any more."""


class JournalFullError(JournalError):
    """Nothing could be stored now: no space, or the device failed. Worth trying again."""


class RepeatedIdError(WsproofError):
    """An entry has a publisher's id that is stored already; `find` tells where."""


class JournalFile:
    """The open file. See `JournalFile.open`; methods raise the errors of `translated`."""

    def __init__(self, path: Path, database: sqlite3.Connection, found: Found) -> None:
        self.path = path
        self.found = found  # before it was opened
        self._database = database

    @classmethod
    def open(cls, path: Path, synchronous: Literal["NORMAL", "FULL"]) -> Self:
        """Open the file at `path`, locked; create it (mode 0600) with a fresh epoch if need be.

        An existing file is checked whole, which takes a second or two per GB in the page cache.

        Raises:
            UsageError: the file is not a journal, damaged, of a newer format, in use by another
                process, or cannot be read and written. It is left as it is.
        """
        try:
            create_private(path)
            require_ours(path, "journal", APPLICATION_ID, FORMAT_VERSION, oldest=OLDEST_FORMAT)
            found = look_at(path)
            checked = _has_log(path) and _check_untouched(path)
            database = sqlite3.connect(path, timeout=0, isolation_level=None)
            try:
                _prepare(database, synchronous, checked=checked)
            except BaseException:
                database.close()
                raise
        except (sqlite3.Error, OSError, UnicodeDecodeError, JournalError) as error:
            raise UsageError(f"journal {path}: {error}; {advice(error)}") from error
        return cls(path, database, found)

    def row(self, query: str, parameters: Sequence[object] = ()) -> tuple[Any, ...]:
        """Return the first row of a query that has one."""
        with translated(self.path):
            row: tuple[Any, ...] = self._database.execute(query, parameters).fetchone()
        return row

    def rows(self, query: str, parameters: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query as they are read."""
        with translated(self.path):
            yield from self._database.execute(query, parameters)

    def execute(self, statement: str, parameters: Sequence[object] = ()) -> None:
        """Run one statement, a transaction by itself."""
        with translated(self.path):
            self._database.execute(statement, parameters)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Do all of what is run in the block, or nothing."""
        with translated(self.path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # SQLite may have undone it already
                    self._database.execute("ROLLBACK")
                raise

    def used_bytes(self) -> int:
        """Return the bytes of the file's pages in use."""
        (pages,) = self.row("PRAGMA page_count")
        (free,) = self.row("PRAGMA freelist_count")
        return int(pages - free) * PAGE_BYTES

    def close(self) -> bool:
        """Copy the WAL into the file, as far as there is room, and close it; tell if all was."""
        try:
            (busy, *_) = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.DatabaseError:  # the WAL keeps what was stored
            busy = True
        self._database.close()
        return not busy

    def damaged(self, what: str) -> JournalError:
        """Return the error that says what is damaged."""
        return JournalError(
            f"journal {self.path}: damaged: {what}; nothing of it was changed: restore it, or move"
            " it away to start with an empty journal"
        )


def _has_log(path: Path) -> bool:
    """Tell whether a WAL stands beside the file, as after `kill -9`."""
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _check_untouched(path: Path) -> bool:
    """Check a file with a WAL beside it, without a byte of both being changed; tell if it could be.

    Whoever may write copies the WAL into the file when closing it, damaged or not. To look
    without writing takes an index beside it, and 32 KiB of room for that.
    """
    index = path.with_name(f"{path.name}-shm")
    ours = not index.exists()
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=0)
    try:
        _check(database)
    except sqlite3.OperationalError as error:
        if _of_device(error):
            return False
        raise
    finally:
        database.close()
        if ours:
            index.unlink(missing_ok=True)
    return True


def _check(database: sqlite3.Connection) -> None:
    """See that the file is whole, and that its tables hold what they are for."""
    found = database.execute("PRAGMA quick_check(1)").fetchone()
    if found != ("ok",):
        raise JournalError(f"damaged: {found[0]}")
    for what, query in _IN_ORDER.items():
        if database.execute(query).fetchone() != (1,):
            raise JournalError(f"damaged: {what}")


def _prepare(
    database: sqlite3.Connection, synchronous: Literal["NORMAL", "FULL"], *, checked: bool
) -> None:
    """Lock the file, create the tables in an empty one, and check a full one."""
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    if database.execute("PRAGMA user_version").fetchone() == (0,):
        # With a rollback journal, so that the header is in the file itself, whole or not at all.
        database.executescript(f"BEGIN EXCLUSIVE; {_SCHEMA}")
        database.execute("INSERT INTO journal VALUES (?, 0)", (secrets.token_hex(16),))
        database.execute("COMMIT")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(f"PRAGMA synchronous = {synchronous}")
    database.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    database.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    if not checked:
        _check(database)
    if database.execute("PRAGMA user_version").fetchone() == (1,):
        database.executescript(_FROM_VERSION_1)
    # A write at once: the lock is had now or never, and a read-only file shows itself.
    database.execute("UPDATE journal SET pruned = pruned")


def advice(error: Exception) -> str:
    """Say what to do about a journal that cannot be opened."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "another process, most likely a running `wsproof serve`, uses this state folder"
    if isinstance(error, OSError) or _of_device(error):
        return "check its permissions, its owner and the space left in its folder"
    return LEFT_AS_IT_IS


# Extended result codes carry these in their low byte (https://www.sqlite.org/rescode.html).
_DEVICE_ERRORS = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
}


def _of_device(error: Exception) -> bool:
    """Tell whether space, permissions or the device are to blame, and not what is in the file."""
    code = getattr(error, "sqlite_errorcode", None)  # errors of the module itself have none
    return code is not None and code & 0xFF in _DEVICE_ERRORS


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Tell a full disk, which passes, from a damaged file, which does not."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        stored = f"journal {path}: an entry is stored already: {error}"
        if error.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_UNIQUE:
            raise RepeatedIdError(stored) from error
        raise ValueError(stored) from error
    except sqlite3.DatabaseError as error:
        if _of_device(error):
            raise JournalFullError(
                f"journal {path}: nothing can be stored: {error}; make space in its folder, events"
                " are refused until then"
            ) from error
        raise JournalError(f"journal {path}: {error}; {advice(error)}") from error
    except UnicodeDecodeError as error:  # what SQLite says of a damaged schema quotes it
        raise JournalError(f"journal {path}: {error}; {LEFT_AS_IT_IS}") from error
