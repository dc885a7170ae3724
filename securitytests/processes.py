"""The processes of a service: its first one and all below it, whenever they come and go.

Reads only. Of memory the sum over the tree counts, and the most that was ever seen is remembered.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil


class Usage(msgspec.Struct, frozen=True):
    """What a tree uses at one moment; processor time includes that of members which have ended."""

    processes: int
    rss_bytes: int
    cpu_s: float
    descriptors: int
    threads: int


class ProcessTree:
    """The processes below one root, found anew at every reading.

    Args:
        root: tells the id of the first process, which changes if a service is started again.
        below: whether those below it belong to it.
    """

    def __init__(self, root: Callable[[], int | None], *, below: bool = True) -> None:
        self._root = root
        self._below = below
        self._members: dict[int, psutil.Process] = {}
        self._cpu_s: dict[psutil.Process, float] = {}
        self._rss_peak_bytes: int | None = None

    def read(self) -> Usage | None:
        """Read every process that is there; None when the root is gone."""
        root = self._root()
        self._discover(root)
        readings = []
        for member in self._members.values():
            with contextlib.suppress(psutil.Error):  # it ended since it was found
                readings.append(self._usage(member))
        if root not in self._members or not readings:
            return None
        total = Usage(
            processes=len(readings),
            rss_bytes=sum(one.rss_bytes for one in readings),
            cpu_s=sum(self._cpu_s.values()),
            descriptors=sum(one.descriptors for one in readings),
            threads=sum(one.threads for one in readings),
        )
        self._rss_peak_bytes = max(self._rss_peak_bytes or 0, total.rss_bytes)
        return total

    def rss_peak_bytes(self) -> int | None:
        """Return the most memory the tree was seen to have resident; None if it never was.

        No less than any living process ever had by itself, where the system remembers that.
        """
        self.read()
        known = [self._rss_peak_bytes, *map(_high_water_bytes, tuple(self._members))]
        return max((one for one in known if one is not None), default=None)

    def _discover(self, root: int | None) -> None:
        """Find who belongs to the tree now; who is known already stays the same object."""
        found: dict[int, psutil.Process] = {}
        for pid in () if root is None else _tree(root, below=self._below):
            with contextlib.suppress(psutil.Error):  # it ended since it was named
                known = self._members.get(pid)
                found[pid] = psutil.Process(pid) if known is None else known
        self._members = found

    def _usage(self, member: psutil.Process) -> Usage:
        with member.oneshot():
            times = member.cpu_times()
            self._cpu_s[member] = times.user + times.system
            return Usage(
                processes=1,
                rss_bytes=member.memory_info().rss,
                cpu_s=self._cpu_s[member],
                descriptors=_descriptors(member),
                threads=member.num_threads(),
            )


def _descriptors(member: psutil.Process) -> int:
    """Return how many it has open; 0 of another user's, whose memory can be read all the same."""
    try:
        return int(member.num_fds())
    except psutil.AccessDenied:
        return 0


def _tree(root: int, *, below: bool) -> Iterator[int]:
    """Yield the root and, if wanted, all below it; nothing if the root is not there."""
    if not psutil.pid_exists(root):
        return
    yield root
    if not below:
        return
    if not Path(f"/proc/{root}/task/{root}/children").exists():
        with contextlib.suppress(psutil.Error):
            yield from (one.pid for one in psutil.Process(root).children(recursive=True))
        return
    waiting = _children(root)
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += _children(pid)


def _children(pid: int) -> list[int]:
    """Return the children of a process as the kernel lists them: no walk over all processes."""
    found: list[int] = []
    with contextlib.suppress(OSError):  # it ended
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):  # this thread did
                found += map(int, (thread / "children").read_text(encoding="ascii").split())
    return found


def _high_water_bytes(pid: int) -> int | None:
    """Return the most memory a process has had resident; None where the system does not say."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return None
    peak = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return None if peak is None else int(peak.split()[1]) * 1024
