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

from monitor.sqlitefile import Found

#: Names one uptime of the machine (https://docs.kernel.org/admin-guide/sysctl/kernel.html).
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

#: Digits of the offset, which stands last, so that it alone is overwritten.
_DIGITS = 20


class _Head(msgspec.Struct, frozen=True):
    """Of which journal the offset is, and when it is to be believed.

    `file` tells the file from a copy of it; `changed_ns` is when it changed last, 0 while it is
    open: a copy over the file itself is told by that.
    """

    epoch: str
    file: tuple[int, int]
    boot: str
    durable: bool  # also after a crash of the machine
    changed_ns: int


class Witness:
    """The note beside one open journal. See `Witness.open`."""

    def __init__(self, descriptor: int, journal: Path, found: Found) -> None:
        self._descriptor = descriptor
        self._journal = journal
        self._found = found
        self._boot = _boot_id()
        self._epoch = ""
        self._durable = False
        self._at = 0  # where the digits stand

    @classmethod
    def open(cls, journal: Path, found: Found) -> Self:
        """Open the note beside a journal's file, or create one (mode 0600) that knows nothing.

        `found` is what the file was before anything of ours changed it.

        Raises:
            OSError: it cannot be read and written.
        """
        path = journal.with_suffix(".witness")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        return cls(descriptor, journal, found)

    def confirms(self, epoch: str, last: int) -> bool:
        """Tell whether the journal is known to be the one noted, and not behind it.

        Of an empty journal that nothing is known about there is nothing to doubt.
        """
        head, _, digits = os.pread(self._descriptor, 4_096, 0).partition(b"\n")
        try:
            noted = msgspec.json.decode(head, type=_Head)
            offset = int(digits)
        except ValueError:  # empty or damaged: it knows nothing
            return last == 0
        if noted.epoch != epoch:
            return last == 0
        same_uptime = noted.boot == self._boot != ""
        return (
            noted.file == (self._found.inode, self._found.generation)
            and (noted.durable or same_uptime)
            and noted.changed_ns in {0, self._found.changed_ns}
            and offset <= last
        )

    def begin(self, epoch: str, last: int, *, durable: bool) -> None:
        """Note which journal is open. `durable`: what it has stored survives loss of power.

        Raises:
            OSError: nothing could be written.
        """
        self._epoch, self._durable = epoch, durable
        self._write(last, durable=durable, changed_ns=0)
        os.fsync(self._descriptor)

    def note(self, last: int) -> None:
        """Note the newest offset that is stored; a note that fails is behind, and overlooks."""
        with contextlib.suppress(OSError):
            os.pwrite(self._descriptor, b"%0*d" % (_DIGITS, last), self._at)

    def close(self, last: int) -> None:
        """Note that the journal was closed, all of it on the disk."""
        with contextlib.suppress(OSError):  # then it is believed for this uptime only
            self._write(last, durable=True, changed_ns=self._journal.stat().st_ctime_ns)
            os.fsync(self._descriptor)
        self.abandon()

    def abandon(self) -> None:
        """Close the note as it is."""
        os.close(self._descriptor)

    def _write(self, last: int, *, durable: bool, changed_ns: int) -> None:
        file = self._found.inode, self._found.generation
        told = _Head(self._epoch, file, self._boot, durable, changed_ns)
        head = msgspec.json.encode(told) + b"\n"
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, head + b"%0*d" % (_DIGITS, last), 0)
        self._at = len(head)


def _boot_id() -> str:
    """Return what names this uptime of the machine; empty where nothing does."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""
