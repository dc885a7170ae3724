"""The journal's file: its tables, how it is opened and locked, and what its errors mean.

One SQLite file in WAL mode, locked for as long as it is open, so that two servers cannot share
one. Knows nothing of events.
"""

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from monitor.contract.verdicts import WsproofError
from monitor.sqlitefile import create_private, require_ours

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


class JournalError(WsproofError):
    """The journal cannot be used any more."""


class JournalFullError(JournalError):
    """Nothing could be stored now: no space, or the device failed. Worth trying again."""


class RepeatedIdError(WsproofError):
    """An entry has a publisher's id that is stored already; `find` tells where."""


def open_database(path: Path, synchronous: Literal["NORMAL", "FULL"]) -> sqlite3.Connection:
    """Open the file at `path`, locked; create it (mode 0600) with a fresh epoch if there is none.

    An existing file is checked whole, which takes about a second per GB in the page cache.

    Raises:
        UsageError: the file is not a journal, or of a newer format.
        sqlite3.Error, OSError, JournalError: it is damaged, in use by another process, or cannot
            be read and written. `advice` says what to do.
    """
    create_private(path)
    require_ours(path, "journal", APPLICATION_ID, FORMAT_VERSION, oldest=OLDEST_FORMAT)
    database = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        _prepare(database, synchronous)
    except BaseException:
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection, synchronous: Literal["NORMAL", "FULL"]) -> None:
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
    found = database.execute("PRAGMA quick_check(1)").fetchone()
    if found != ("ok",):
        raise JournalError(f"damaged: {found[0]}")
    if database.execute("PRAGMA user_version").fetchone() == (1,):
        database.executescript(_FROM_VERSION_1)
    # A write at once: the lock is had now or never, and a read-only file shows itself.
    database.execute("UPDATE journal SET pruned = pruned")


def advice(error: Exception) -> str:
    """Say what to do about a journal that cannot be opened."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "another process, most likely a running `wsproof serve`, uses this state folder"
    if isinstance(error, OSError) or (code is not None and code & 0xFF in _DEVICE_ERRORS):
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
        code = getattr(error, "sqlite_errorcode", None)  # errors of the module itself have none
        if code is not None and code & 0xFF in _DEVICE_ERRORS:
            raise JournalFullError(
                f"journal {path}: nothing can be stored: {error}; make space in its folder, events"
                " are refused until then"
            ) from error
        raise JournalError(f"journal {path}: {error}; {advice(error)}") from error
