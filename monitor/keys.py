"""The signing keys: a closed table of key ids and secrets, kept in one file of mode 0600.

The file is replaced whole or not at all, and is never created over another. What the keys are
used for stands in `monitor.tokens`.
"""

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Literal

import msgspec

from monitor.contract.verdicts import UsageError

#: Length of a generated secret. RFC 7518 section 3.2 asks for at least 256 bits with HS256.
SECRET_BYTES = 32

_MODE = 0o600


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One secret. `accept_until` (unix s) ends the acceptance of a key that was replaced."""

    kid: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
    secret: bytes
    accept_until: float | None = None

    def __repr__(self) -> str:
        return f"Key(kid={self.kid!r}, secret=..., accept_until={self.accept_until!r})"


class KeyTable(msgspec.Struct, frozen=True):
    """Every key a token may be signed with, by key id; `current` signs new ones."""

    keys: Mapping[str, Key]
    current: str

    def accepted(self, kid: str, now: float) -> Key | None:
        """Return the key a token of this id is verified with at `now` (unix s), or None."""
        key = self.keys.get(kid)
        if key is None or (key.accept_until is not None and now >= key.accept_until):
            return None
        return key


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1]
    current: str
    keys: tuple[Key, ...]


class KeyFile:
    """A key file that another process may rotate: `poll` takes up what changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = _identity(path)
        self.table = load_keys(path)

    def poll(self) -> bool:
        """Load the file again if it was replaced; tell whether it was.

        Raises:
            UsageError: the file is gone or unusable; `table` stays as it was.
        """
        found = _identity(self._path)
        if found == self._seen:
            return False
        self.table = load_keys(self._path)
        self._seen = found
        return True


def load_or_create_keys(path: Path) -> KeyTable:
    """Load the keys in `path`; create them if there are none, as a first start does.

    Raises:
        UsageError: see `load_keys`, `create_keys`.
    """
    if not path.exists():
        # Losing the race to another process is as good: its keys are complete, load those.
        with contextlib.suppress(_ExistsError):
            return create_keys(path)
    return load_keys(path)


def create_keys(path: Path) -> KeyTable:
    """Create `path` with one fresh key.

    Raises:
        UsageError: the file exists already, or its folder cannot be written.
    """
    table = _table((_fresh(),))
    temporary = _write_beside(path, table)
    try:
        path.hardlink_to(temporary)  # unlike a rename, fails if the file is there
    except FileExistsError:
        raise _ExistsError(
            f"key file {path}: exists already and is never overwritten; use it as it is, or"
            " replace its key with `wsproof token rotate`"
        ) from None
    except OSError as error:
        raise UsageError(f"key file {path}: cannot be created: {error.strerror}") from error
    finally:
        temporary.unlink()
    return table


def rotate_keys(path: Path, now: float, accept_old_until: float) -> KeyTable:
    """Sign with a fresh key from `now` on; accept the old ones until `accept_old_until` (unix s).

    Pass the expiry of the last token issued, so that no token dies early. Keys accepted no longer
    leave the file.

    Raises:
        UsageError: see `load_keys`; or the folder cannot be written.
    """
    old = load_keys(path)
    kept = [
        msgspec.structs.replace(
            key, accept_until=min(accept_old_until, key.accept_until or accept_old_until)
        )
        for key in old.keys.values()
    ]
    living = [key for key in kept if key.accept_until is not None and now < key.accept_until]
    table = _table((_fresh(), *living))
    temporary = _write_beside(path, table)
    try:
        temporary.replace(path)
    except OSError as error:
        temporary.unlink()
        raise UsageError(f"key file {path}: cannot be replaced: {error.strerror}") from error
    return table


def load_keys(path: Path) -> KeyTable:
    """Load the keys in `path`.

    Raises:
        UsageError: missing, readable by others, malformed, or holding a weak secret; says what
            mends it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise UsageError(
            f"key file {path}: no such file; `wsproof serve` and `wsproof token issue` create it"
        ) from None
    except OSError as error:
        raise UsageError(f"key file {path}: cannot be read: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode & 0o777
        if mode & 0o077:
            raise UsageError(
                f"key file {path}: mode {mode:04o} lets other users read the secrets; expected"
                f" 0600. Run `chmod 600 {path}`, and `wsproof token rotate` if they may have"
            )
        content = file.read()
    return _parse(path, content)


def _parse(path: Path, content: bytes) -> KeyTable:
    try:
        document = msgspec.json.decode(content, type=_Document)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(
            f"key file {path}: not a key file of this version: {error}. Restore it, or move it"
            " away to start with a fresh key (tokens issued so far are then refused)"
        ) from error
    for key in document.keys:
        if len(key.secret) < SECRET_BYTES:
            raise UsageError(
                f"key file {path}: the secret of key {key.kid!r} has {len(key.secret) * 8} bits;"
                f" expected at least {SECRET_BYTES * 8}. Move the file away to start afresh"
            )
    table = MappingProxyType({key.kid: key for key in document.keys})
    if document.current not in table or len(table) != len(document.keys):
        raise UsageError(
            f"key file {path}: expected key ids to stand once each, and `current`"
            f" ({document.current!r}) to be one of them; restore the file"
        )
    return KeyTable(table, document.current)


class _ExistsError(UsageError):
    """The key file to be created is there already."""


def _fresh() -> Key:
    return Key(secrets.token_urlsafe(9), secrets.token_bytes(SECRET_BYTES))


def _table(keys: tuple[Key, ...]) -> KeyTable:
    """Return a table of these keys, the first being current."""
    return KeyTable(MappingProxyType({key.kid: key for key in keys}), keys[0].kid)


def _write_beside(path: Path, table: KeyTable) -> Path:
    """Write the table, durably, to a new file in the same folder that only we may read."""
    document = _Document(1, table.current, tuple(table.keys.values()))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(temporary, flags, _MODE), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UsageError(
            f"key file {path}: cannot be written: {error.strerror}; check that the folder"
            " exists, is yours, and has space"
        ) from error
    return temporary


def _identity(path: Path) -> tuple[int, int, int] | None:
    """What tells one content of the file from another: inode, time of change, size."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_mtime_ns, status.st_size)
