"""How far the journal came, noted beside it: tells a journal that lost its end.

SQLite takes up a write-ahead log as far as it can be read, without a word of what stood behind
that; and a file put back from a copy looks like any other. Either would give offsets a second
time, so the epoch must be a new one then.

Like the journal, the note survives `kill -9`. It does not wait for the disk: after a crash of the
machine it is believed only if the journal was durable, or closed before. A false alarm costs
little: clients are given the phase states instead of what they missed.
"""

import contextlib
import os
from pathlib import Path
from typing import Self

import msgspec

#: Names one uptime of the machine (https://docs.kernel.org/admin-guide/sysctl/kernel.html).
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

#: Digits of the offset, which stands last, so that it alone is overwritten.
_DIGITS = 20


class _Head(msgspec.Struct, frozen=True):
    """Of which journal the offset is: its epoch and inode; and when it is to be believed."""

    epoch: str
    inode: int
    boot: str
    durable: bool  # also after a crash of the machine


class Witness:
    """The note beside one open journal. See `Witness.open`."""

    def __init__(self, descriptor: int, inode: int) -> None:
        self._descriptor = descriptor
        self._inode = inode
        self._boot = _boot_id()
        self._epoch = ""
        self._durable = False
        self._at = 0  # where the digits stand

    @classmethod
    def open(cls, journal: Path) -> Self:
        """Open the note beside a journal's file, or create one (mode 0600) that knows nothing.

        Raises:
            OSError: it cannot be read and written.
        """
        path = journal.with_suffix(".witness")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        return cls(descriptor, journal.stat().st_ino)

    def confirms(self, epoch: str, last: int) -> bool:
        """Tell whether the journal is known to be the one noted, and not behind it."""
        head, _, digits = os.pread(self._descriptor, 4_096, 0).partition(b"\n")
        try:
            noted = msgspec.json.decode(head, type=_Head)
            offset = int(digits)
        except ValueError:  # empty or damaged: it knows nothing
            return False
        same_uptime = noted.boot == self._boot != ""
        return (
            (noted.epoch, noted.inode) == (epoch, self._inode)
            and (noted.durable or same_uptime)
            and offset <= last
        )

    def begin(self, epoch: str, last: int, *, durable: bool) -> None:
        """Note which journal is open. `durable`: what it has stored survives loss of power.

        Raises:
            OSError: nothing could be written.
        """
        self._epoch, self._durable = epoch, durable
        self._write(last, durable=durable)
        os.fsync(self._descriptor)

    def note(self, last: int) -> None:
        """Note the newest offset that is stored; a note that fails is behind, and overlooks."""
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, b"%0*d" % (_DIGITS, last), self._at)

    def close(self, last: int) -> None:
        """Note that the journal was closed, all of it on the disk."""
        with contextlib.suppress(OSError):  # then it is believed for this uptime only
            self._write(last, durable=True)
            os.fsync(self._descriptor)
        self.abandon()

    def abandon(self) -> None:
        """Close the note as it is."""
        os.close(self._descriptor)

    def _write(self, last: int, *, durable: bool) -> None:
        head = msgspec.json.encode(_Head(self._epoch, self._inode, self._boot, durable)) + b"\n"
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, head + b"%0*d" % (_DIGITS, last), 0)
        self._at = len(head)


def _boot_id() -> str:
    """Return what names this uptime of the machine; empty where nothing does."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""
