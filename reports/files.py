"""Writes files so that a reader sees the old one or the new one, never half of either."""

import os
import tempfile
from pathlib import Path

from monitor.contract.verdicts import UsageError


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content, keeping its permissions; a link's own target is replaced.

    Raises:
        UsageError: its folder cannot be written.
    """
    real = path.resolve()
    partial = ""
    try:
        real.parent.mkdir(parents=True, exist_ok=True)
        mode = real.stat().st_mode & 0o7777 if real.exists() else 0o666 & ~_umask()
        descriptor, partial = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).chmod(mode)
        Path(partial).replace(real)
        partial = ""
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        if partial:
            Path(partial).unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
