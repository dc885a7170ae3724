"""The state folder: where the monitor keeps its keys, its table of tokens and its journal."""

import os
from pathlib import Path

import msgspec

from monitor.contract.verdicts import UsageError


class StateFolder(msgspec.Struct, frozen=True):
    """Names of the files in one state folder."""

    path: Path

    @property
    def keys(self) -> Path:
        """The signing keys."""
        return self.path / "keys.json"

    @property
    def tokens(self) -> Path:
        """Tokens issued and revoked, and disabled subjects."""
        return self.path / "tokens.db"

    @property
    def journal(self) -> Path:
        """The durable event log."""
        return self.path / "journal.db"


def check_state_folder(path: Path) -> None:
    """See that the state folder can be used, or made; nothing is changed.

    Raises:
        UsageError: see `open_state_folder`.
    """
    if path.exists():
        open_state_folder(path)
        return
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(
            f"state folder {path}: cannot be created in {above}; give a folder you may write to"
            " with --state"
        )


def open_state_folder(path: Path, *, create: bool = True) -> StateFolder:
    """Return the state folder at `path`; with `create`, make it (mode 0700) if need be.

    Raises:
        UsageError: it is missing, cannot be created, is not a folder, or cannot be written.
    """
    if not create and not path.exists():
        raise UsageError(
            f"state folder {path}: no such folder; give the one of `wsproof serve` with --state"
        )
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(
            f"state folder {path}: a file stands there; give another folder with --state"
        ) from None
    except OSError as error:
        raise UsageError(
            f"state folder {path}: cannot be created: {error.strerror}; give a folder you may"
            " write to with --state"
        ) from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise UsageError(
            f"state folder {path}: no permission to read and write it; run `chmod u+rwx {path}`,"
            " or give another folder with --state"
        )
    return StateFolder(path)
