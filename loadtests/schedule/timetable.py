"""The schedule that publisher and receivers share: one memory-mapped file.

For each event: when it is due, when it was sent (both CLOCK_MONOTONIC nanoseconds, one clock for
all processes of a host) and what became of it. 17 bytes an event, however many deliveries.
"""

import mmap
import time
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

#: Bits of an event's fate.
SENT = 1
#: It was due while the target was not reading: whatever its lateness, it is the target's.
PUSHED_BACK = 2
ACKNOWLEDGED = 4
REFUSED = 8

_HEADER = 2  # int64: number of events, first measured event
_PER_EVENT = 17


class Timetable:
    """Views into the shared file: `due_ns`, `sent_ns` (0 = not yet) and `fate`."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        header = np.frombuffer(self._map, np.int64, _HEADER)
        self.events, self.window_first = int(header[0]), int(header[1])
        at = header.nbytes
        self.due_ns: NDArray[np.int64] = np.frombuffer(self._map, np.int64, self.events, at)
        at += self.due_ns.nbytes
        self.sent_ns: NDArray[np.int64] = np.frombuffer(self._map, np.int64, self.events, at)
        at += self.sent_ns.nbytes
        self.fate: NDArray[np.uint8] = np.frombuffer(self._map, np.uint8, self.events, at)

    @classmethod
    def create(cls, path: Path, offsets_ns: NDArray[np.int64], window_ns: int) -> Self:
        """Write a timetable of events due at these offsets; those from `window_ns` are measured."""
        count = len(offsets_ns)
        header = np.array([count, np.searchsorted(offsets_ns, window_ns)], dtype=np.int64)
        with path.open("xb") as file:
            file.write(header.tobytes())
            file.write(offsets_ns.tobytes())
            file.truncate(header.nbytes + count * _PER_EVENT)
        return cls(path)

    def start(self, at_ns: int) -> None:
        """Turn the offsets into instants: the schedule begins at `at_ns`."""
        self.due_ns += at_ns

    def follow(self, other: Self) -> None:
        """Take what becomes of each event from another process's timetable of this schedule."""
        self.sent_ns, self.fate = other.sent_ns, other.fate

    def cut_short(self, at_ns: int) -> int:
        """Return where a window that was cut at this instant ends, once the publisher has ended.

        What was due just before and not sent any more was neither delivered nor lost: the window
        ends before it. What the target held up stays in.
        """
        cut = self.due_before(at_ns)
        unsent = (self.fate[self.window_first : cut] & (SENT | PUSHED_BACK)) == 0
        first = int(unsent.argmax()) if unsent.any() else len(unsent)
        return at_ns if first == len(unsent) else int(self.due_ns[self.window_first + first])

    def due_before(self, instant_ns: int) -> int:
        """Count the events due before an instant."""
        return int(np.searchsorted(self.due_ns, instant_ns))


def now_ns() -> int:
    """The clock of every instant in a timetable."""
    return time.monotonic_ns()
