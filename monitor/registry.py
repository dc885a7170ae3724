"""The table of tokens: which were issued, which are revoked, which subjects are disabled.

One SQLite file in the state folder. The command line writes it through `Registry`; the server
only reads it, through `Revocations`, which notices a change in microseconds and answers from
memory. A token's text is never stored.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from monitor.contract.verdicts import UsageError
from monitor.sqlitefile import create_private, require_ours
from monitor.tokens import Grant, Scope

#: Version of the tables. 1: first format.
FORMAT_VERSION = 1

#: "wspt": marks the file as ours (https://www.sqlite.org/pragma.html#pragma_application_id).
APPLICATION_ID = 0x77737074

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS issued (
    jti TEXT PRIMARY KEY, subject TEXT NOT NULL, scopes TEXT NOT NULL,
    issued_at REAL NOT NULL, expires_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revoked (jti TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS disabled (subject TEXT PRIMARY KEY) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT_VERSION};
COMMIT;
"""

_WHAT = "token table"
_BUSY_S = 5.0


class IssuedToken(msgspec.Struct, frozen=True):
    """One token that was issued and has not expired. Times in unix seconds."""

    grant: Grant
    revoked: bool
    disabled: bool


class Registry:
    """Context manager: the table, open for writing; created (mode 0600) if it is not there.

    Every method raises UsageError if the file cannot be used, saying why; a file that is not
    ours is never written to.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _explained(path):
            create_private(path)
            complete = require_ours(path, _WHAT, APPLICATION_ID, FORMAT_VERSION)
            self._database = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            if not complete:
                self._database.executescript(_SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def record(self, grant: Grant) -> None:
        """Remember an issued token."""
        with self._writing() as database:
            database.execute(
                "INSERT INTO issued VALUES (?, ?, ?, ?, ?)",
                (
                    grant.token_id,
                    grant.subject,
                    " ".join(sorted(grant.scopes)),
                    grant.issued_at,
                    grant.expires_at,
                ),
            )

    def revoke(self, token_id: str, until: float) -> None:
        """Refuse a token id until `until`, its expiry (unix s). Repeating it changes nothing."""
        with self._writing() as database:
            database.execute(
                "INSERT INTO revoked VALUES (?, ?)"
                " ON CONFLICT (jti) DO UPDATE SET until = max(until, excluded.until)",
                (token_id, until),
            )

    def disable(self, subject: str) -> None:
        """Refuse every token of a subject, also ones issued later, until it is enabled."""
        with self._writing() as database:
            database.execute("INSERT OR IGNORE INTO disabled VALUES (?)", (subject,))

    def enable(self, subject: str) -> bool:
        """Accept a subject's tokens again; tell whether it was disabled."""
        with self._writing() as database:
            return (
                database.execute("DELETE FROM disabled WHERE subject = ?", (subject,)).rowcount > 0
            )

    def find(self, token_id: str) -> Grant | None:
        """Return what an issued token grants, or None if there is no record of it."""
        with _explained(self._path):
            row = self._database.execute(
                "SELECT subject, scopes, jti, issued_at, expires_at FROM issued WHERE jti = ?",
                (token_id,),
            ).fetchone()
        return None if row is None else _grant(row)

    def list(self, now: float) -> list[IssuedToken]:
        """Return the tokens that have not expired at `now` (unix s), the first to expire first."""
        with _explained(self._path):
            rows = self._database.execute(
                "SELECT subject, scopes, jti, issued_at, expires_at,"
                " jti IN (SELECT jti FROM revoked), subject IN (SELECT subject FROM disabled)"
                " FROM issued WHERE expires_at > ? ORDER BY expires_at, jti",
                (now,),
            ).fetchall()
        return [IssuedToken(_grant(row[:5]), bool(row[5]), bool(row[6])) for row in rows]

    def disabled(self) -> tuple[str, ...]:
        """Return the disabled subjects in name order."""
        with _explained(self._path):
            rows = self._database.execute(
                "SELECT subject FROM disabled ORDER BY subject"
            ).fetchall()
        return tuple(subject for (subject,) in rows)

    def forget(self, now: float) -> int:
        """Drop what has expired at `now` (unix s); return how many tokens were dropped."""
        with self._writing() as database:
            database.execute("DELETE FROM revoked WHERE until <= ?", (now,))
            return database.execute("DELETE FROM issued WHERE expires_at <= ?", (now,)).rowcount

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction: all of it, or none."""
        with _explained(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.rollback()
                raise
            self._database.commit()


class Revocations:
    """What a server refuses, kept in step with the file by `poll`; the file may not exist yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._version: int | None = None
        self._revoked: frozenset[str] = frozenset()
        self._disabled: frozenset[str] = frozenset()

    def poll(self) -> bool:
        """Take up what was written since; tell whether what is refused has changed.

        Costs a few microseconds when nothing was written. A file that was removed or replaced
        is noticed; while there is none, what was refused stays refused. A file that is being
        written to at this moment is left to the next poll.

        Raises:
            UsageError: the file cannot be used; what was refused stays refused.
        """
        with _explained(self._path):
            database = self._follow()
            if database is None:
                return False
            try:
                return self._take_up(database)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                    return False
                raise

    def refuses(self, grant: Grant) -> bool:
        """Tell whether this token was revoked, or its subject disabled, as of the last poll."""
        return grant.token_id in self._revoked or grant.subject in self._disabled

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()
            self._database = None
        self._identity = self._version = None

    def _take_up(self, database: sqlite3.Connection) -> bool:
        (version,) = database.execute("PRAGMA data_version").fetchone()
        if version == self._version:
            return False
        refused = database.execute(
            "SELECT 'jti', jti FROM revoked UNION ALL SELECT 'subject', subject FROM disabled"
        ).fetchall()
        revoked = frozenset(name for kind, name in refused if kind == "jti")
        disabled = frozenset(name for kind, name in refused if kind == "subject")
        changed = (revoked, disabled) != (self._revoked, self._disabled)
        self._revoked, self._disabled, self._version = revoked, disabled, version
        return changed

    def _follow(self) -> sqlite3.Connection | None:
        """Return the file that stands at the path now, open; None if there is none as yet."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        identity = (status.st_dev, status.st_ino)
        if self._database is not None and identity == self._identity:
            return self._database
        self.close()
        if not require_ours(self._path, _WHAT, APPLICATION_ID, FORMAT_VERSION):
            return None  # being created at this moment
        # Writable, though nothing is written: only so can SQLite undo what a killed writer left.
        self._database = sqlite3.connect(
            f"{self._path.resolve().as_uri()}?mode=rw", uri=True, timeout=0, isolation_level=None
        )
        self._identity = identity
        return self._database


def _grant(row: tuple[str, str, str, float, float]) -> Grant:
    subject, scopes, token_id, issued_at, expires_at = row
    granted = frozenset(Scope(name) for name in scopes.split(" "))
    return Grant(subject, granted, token_id, issued_at, expires_at)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what the system and SQLite say into a UsageError that says what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        match error.sqlite_errorcode & 0xFF:
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                advice = "another process is writing to it; try again"
            case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                advice = "it is damaged and was left as it is; restore it, or move it away"
            case _:
                advice = "check its permissions and the space left in its folder"
        raise UsageError(f"token table {path}: {error}; {advice}") from error
    except OSError as error:
        raise UsageError(
            f"token table {path}: cannot be opened: {error.strerror}; check its permissions and"
            " those of its folder"
        ) from error
