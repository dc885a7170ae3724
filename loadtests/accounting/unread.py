"""How much waits unread in the receive queues each time the receivers come to read.

What one read takes from a socket is what its queue held at that instant, so this costs no system
call. A generator that lets bytes pile up is the bottleneck itself: it adds to latency, and once a
queue is full the kernel closes the window and the target is held up, not slow. A count at fixed
times by the same loop would not do: the loop is back, and the queues empty, before it is taken.
Kept by the periods of the timer of `looplag`, eight bytes each. Where the loop was away for
several, what it found on its return stands for all of them: never less than what waited.
"""

import fcntl
import socket
import struct
import termios
from array import array
from typing import Any, NamedTuple

import numpy as np

#: What an array of 32-bit numbers holds at most.
_MOST = 2**32 - 1


class Backlog(NamedTuple):
    """What waited in one window, in bytes; None where nothing is known.

    `p99_bytes` and `max_bytes` are of all queues together, `queue_bytes` is the longest single one.
    """

    p99_bytes: float | None
    max_bytes: int | None
    queue_bytes: int | None


class Unread:
    """Passes over the sockets: each goes once over all that have something to read."""

    def __init__(self) -> None:
        #: How many sockets this pass has been to.
        self.sockets = 0
        self._pass = self._longest = self._most = self._periods = 0
        self._passes = array("I")
        self._queues = array("I")

    def add(self, waiting: int, longest: int, sockets: int, periods: int, *, last: bool) -> None:
        """Note the bytes found in so many sockets, together and in the fullest.

        `periods` of the timer were over by then; `last` says that the pass is over as well.
        """
        self.sockets += sockets
        self._pass += waiting
        self._periods += periods
        if longest > self._longest:
            self._longest = longest
        if not last:
            return
        if self._pass > self._most:
            self._most = self._pass
        self._pass = self.sockets = 0
        if self._periods:
            self._passes.extend([min(self._most, _MOST)] * self._periods)
            self._queues.extend([min(self._longest, _MOST)] * self._periods)
            self._most = self._longest = self._periods = 0

    def between(self, periods: slice) -> Backlog:
        """Return what waited in these periods."""
        passes = np.array(self._passes[periods])
        if not len(passes):
            return Backlog(None, None, None)
        return Backlog(
            float(np.percentile(passes, 99)), int(passes.max()), max(self._queues[periods])
        )


def left_in(sock: Any) -> int:
    """Return how many bytes a socket's receive queue still holds; 0 of one that is closed."""
    if sock.fileno() < 0:
        return 0
    answer = fcntl.ioctl(sock.fileno(), termios.FIONREAD, struct.pack("i", 0))
    return int(struct.unpack("i", answer)[0])


def room_of(sock: Any) -> int:
    """Return the size of a socket's receive buffer in bytes, as the kernel made it.

    Up to half of it is for the kernel's own bookkeeping (socket(7)): from there on it may hold up
    the sender.
    """
    return int(sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
