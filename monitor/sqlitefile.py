"""SQLite files of ours: nobody else may read them, and a foreign one is told by its header.

The header is read before SQLite may touch the file, so that a file that is not ours stays as it
is to the byte.
"""

import contextlib
import fcntl
import os
import struct
from pathlib import Path
from typing import NamedTuple

from monitor.contract.verdicts import UsageError

#: `FS_IOC_GETVERSION` of <linux/fs.h>: the generation of an inode, which tells it from earlier ones
#: of its number.
_GET_GENERATION = 0x80087601


class Found(NamedTuple):
    """A file as it was found: which it is, and when it changed last (Unix ns).

    The number of an inode that became free is given to the next file, often the copy of the one
    that was removed; its generation is another. It is 0 where the file system has none.
    """

    inode: int
    generation: int
    changed_ns: int


def look_at(path: Path) -> Found:
    """Return which file stands at `path`. Not while SQLite has it open.

    To close a file gives up the locks that the process has on it, whoever took them
    (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        stat = os.fstat(file.fileno())
        try:
            answer = fcntl.ioctl(file.fileno(), _GET_GENERATION, bytes(8))
        except OSError:
            return Found(stat.st_ino, 0, stat.st_ctime_ns)
    (generation,) = struct.unpack("@I4x", answer)
    return Found(stat.st_ino, generation, stat.st_ctime_ns)


def create_private(path: Path) -> None:
    """Create an empty file of mode 0600 unless there is a file already.

    Raises:
        OSError: it cannot be created.
    """
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def require_ours(
    path: Path, what: str, application_id: int, version: int, *, oldest: int | None = None
) -> bool:
    """Check that the file is empty (return False) or one of ours (return True).

    `what` names the file in errors ("journal"); formats from `oldest` to `version` will do, or
    `version` alone. Offsets are those of
    https://www.sqlite.org/fileformat2.html#the_database_header.

    Raises:
        UsageError: another kind of file, or another format.
        OSError: it cannot be read.
    """
    if not path.is_file():  # to open a named pipe would wait for a writer
        raise UsageError(
            f"{what} {path}: not a regular file; move it away, or give another folder with --state"
        )
    with path.open("rb") as file:
        header = file.read(100)
    if not header:
        return False
    if header[:16] != b"SQLite format 3\0" or int.from_bytes(header[68:72]) != application_id:
        raise UsageError(
            f"{what} {path}: not a {what} of wsproof; it was left as it is. Move it away, or give"
            " another folder with --state"
        )
    found = int.from_bytes(header[60:64])
    if not (version if oldest is None else oldest) <= found <= version:
        raise UsageError(
            f"{what} {path}: format {found}, expected {version}; another version of wsproof wrote"
            " it. Use that version, or give another folder with --state"
        )
    return True
