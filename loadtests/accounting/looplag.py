"""How late the receivers themselves are: a timer read like a socket, by the same loop.

It expires at even instants, whatever the loop does. What one expiry waits to be read is what a
byte that came at that instant would have waited, so the loop's own share of every latency is
measured in the very window it is part of: by counting, by Locust's greenlets, or because another
process had the core. Linux only, like epoll; without it there are no figures.
"""

import ctypes
import os
import sys
from array import array

import numpy as np

from loadtests.accounting.histogram import Recorder
from loadtests.schedule.timetable import now_ns

#: 250 samples a second cost the loop about half a per cent of a core.
PERIOD_NS = 4_000_000

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1


class _TimerSpec(ctypes.Structure):
    """`struct itimerspec`: interval, then first expiry, each in seconds and ns."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("first_s", ctypes.c_long),
        ("first_ns", ctypes.c_long),
    )


class LoopLag:
    """One timer; `descriptor` is to be polled, and `read` called when it is readable."""

    def __init__(self) -> None:
        self.descriptor = -1
        self._first_ns = 0
        self._lags_ns = array("q")

    def start(self) -> None:
        """Begin; `descriptor` stays -1 where the system has no such timer."""
        if sys.platform != "linux":
            return
        libc = ctypes.CDLL(None, use_errno=True)
        descriptor = libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if descriptor < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"timerfd_create: {os.strerror(number)}")
        self.descriptor = descriptor
        self._first_ns = now_ns() + PERIOD_NS
        seconds, rest_ns = divmod(self._first_ns, 1_000_000_000)
        spec = _TimerSpec(0, PERIOD_NS, seconds, rest_ns)
        if libc.timerfd_settime(descriptor, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None):
            number = ctypes.get_errno()
            raise OSError(number, f"timerfd_settime: {os.strerror(number)}")

    def read(self) -> int:
        """Take the expiries there were and return how many.

        Several if the loop was away for longer than a period.
        """
        try:
            expired = int.from_bytes(os.read(self.descriptor, 8), sys.byteorder)
        except BlockingIOError:
            return 0
        now, due_ns = now_ns(), self._first_ns + len(self._lags_ns) * PERIOD_NS
        self._lags_ns.extend(now - due_ns - number * PERIOD_NS for number in range(expired))
        return expired

    def stop(self) -> None:
        """Give the timer back. Idempotent."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def periods(self, start_ns: int, end_ns: int) -> slice:
        """Return which expiries were due in this time."""
        first = max(0, -(-(start_ns - self._first_ns) // PERIOD_NS))
        return slice(first, max(first, -(-(end_ns - self._first_ns) // PERIOD_NS)))

    def between(self, start_ns: int, end_ns: int) -> Recorder:
        """Return how late the expiries due in this time were read."""
        lags_ns = np.array(self._lags_ns[self.periods(start_ns, end_ns)], dtype=np.int64)
        recorder = Recorder()
        if len(lags_ns):
            recorder.record(lags_ns)
        return recorder
