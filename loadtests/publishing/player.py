"""Plays a timetable over an open connection: each event when it is due.

It sends whatever the target makes of the last event, and never waits for an answer. What a target
that does not read holds up is booked as the target's.
"""

import select
import socket
import sys
import time
from collections.abc import Callable

import msgspec

from loadtests.connections.connection import Connection, Stage
from loadtests.publishing.publications import Answers, Messages
from loadtests.schedule.timetable import PUSHED_BACK, SENT, Timetable, now_ns
from monitor.contract.target import Publish

READ_BYTES = 65_536

#: A long sleep on an idle core ends up to 0.3 ms late (a virtual machine's more so); the short one
#: after it ends within some 50 µs.
_EARLY_NS = 400_000

#: This far behind schedule, answers are read between sends, so that they do not pile up.
_BEHIND_NS = 1_000_000

#: How often a target that went away is knocked at.
_KNOCK_AGAIN_S = 0.05

#: Events due at the same instant go out in one call: each call may have to wake the target.
_SENDS_TOGETHER = 64


class Outcome(msgspec.Struct, frozen=True):
    """What became of the schedule; `fault` is the target's doing, empty if it did nothing."""

    sent: int
    acknowledged: int
    refused: int
    cpu_s: float
    fault: str
    first_refusal: str = ""
    #: Stretches of events cut by an outage: from the first unanswered, or refused right before, to
    #: the first sent after it.
    outages: tuple[tuple[int, int], ...] = ()


#: Opens another connection, ready to publish; None while the target is away.
Reconnect = Callable[[], tuple[socket.socket, Connection] | None]


class Player:
    """Plays a timetable over an open connection.

    With `reconnect`, a target that goes away is knocked at until it is back; what fell due
    meanwhile is not sent any more, and booked as the target's.
    """

    def __init__(
        self,
        sock: socket.socket,
        connection: Connection,
        timetable: Timetable,
        messages: Messages,
        reconnect: Reconnect | None = None,
    ) -> None:
        self._reconnect = reconnect
        self._outages: list[tuple[int, int]] = []
        self._socket = sock
        self._connection = connection
        self._timetable = timetable
        self._messages = messages
        self._next = 0  # the next event to send
        self._rest = b""  # what is left of the one before
        self._blocked = False
        self._answers = Answers(timetable, b"", b"")
        self.fault = ""

    def play(self, publish: Publish, drain_s: float) -> Outcome:
        """Send every event when due, then wait for the answers still owed, at most `drain_s`."""
        accepted, refused = (publish.acknowledged or "").encode(), (publish.refused or "").encode()
        self._answers = Answers(self._timetable, accepted, refused)
        told_to_stop = False
        while self._next < self._timetable.events and not told_to_stop:
            if self.fault and not self._came_back():
                break
            wait_ns = int(self._timetable.due_ns[self._next]) - now_ns()
            if self._blocked:
                told_to_stop = not self._attend(drain_s)
            elif wait_ns > 0:
                # The longer the sleep, the later it ends: wake early, then sleep a little more.
                early_ns = wait_ns - _EARLY_NS
                told_to_stop = not self._attend((early_ns if early_ns > 0 else wait_ns) / 1e9)
            else:
                self._send()
                if wait_ns < -_BEHIND_NS:
                    told_to_stop = not self._attend(0)
        self._excuse()
        self._finish(time.monotonic() + drain_s)
        return Outcome(
            sent=self._next,
            acknowledged=self._answers.acknowledged,
            refused=self._answers.refused,
            cpu_s=time.process_time(),
            fault=self.fault,
            first_refusal=self._answers.first_refusal,
            outages=tuple(self._outages),
        )

    def _came_back(self) -> bool:
        """After the connection was lost: open another one, as long as there is something to send.

        False without `reconnect`, when told to stop, or when the schedule has run out.
        """
        if self._reconnect is None:
            return False
        first = min(self._answers.cut_off_at(), self._next)
        self._socket.close()
        self._rest, self._blocked = b"", False
        while (next_one := self._timetable.due_before(now_ns())) < self._timetable.events:
            if select.select([sys.stdin], [], [], _KNOCK_AGAIN_S)[0]:
                break
            found = self._reconnect()
            if found is None:
                continue
            self._socket, self._connection = found
            next_one = self._timetable.due_before(now_ns())
            self._resume_at(first, max(next_one, self._next))
            self.fault = ""
            return True
        self._resume_at(first, max(next_one, self._next))
        return False

    def _resume_at(self, first: int, number: int) -> None:
        """Leave out what fell due while the target was away."""
        self._timetable.fate[self._next : number] |= PUSHED_BACK
        self._outages.append((first, number))
        self._next = number
        self._answers.skip_to(number)

    def _finish(self, deadline: float) -> None:
        """Send the rest of a message begun and read the answers still owed."""
        while self._rest or self._answers.owed(self._next):
            left = deadline - time.monotonic()
            if self.fault or left <= 0:
                return
            if self._rest and not self._blocked:
                self._send()
            elif not self._attend(left):
                return

    def _send(self) -> None:
        """Send every event that is due, in one call; or go on with one the socket took in part."""
        if self._rest:
            taken = self._offer(self._rest)
            self._blocked = taken < len(self._rest)
            self._rest = self._rest[taken:]
            return
        first = self._next
        due = self._timetable.due_before(now_ns() + 1)
        last = min(max(due, first + 1), first + _SENDS_TOGETHER)
        frames = [
            self._connection.sealed(self._connection.text_frame(self._messages.build(number)))
            for number in range(first, last)
        ]
        # Stamped before: a receiver may read an event before `send` has returned.
        self._timetable.sent_ns[first:last] = now_ns()
        whole = b"".join(frames)
        taken = self._offer(whole)
        if self._connection.secure:
            # What is sealed has its place in the stream: the rest of it must go out next.
            self._next, self._rest, frames = last, whole[taken:], []
        for frame in frames:
            if taken <= 0:
                break
            self._rest = frame[taken:]
            taken -= len(frame)
            self._next += 1
        self._timetable.fate[first : self._next] |= SENT
        self._timetable.sent_ns[self._next : last] = 0
        self._blocked = bool(self._rest) or self._next < last

    def _offer(self, data: bytes) -> int:
        """Return how many bytes the socket took."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self.fault = error.strerror or str(error)
            return 0

    def _attend(self, timeout_s: float) -> bool:
        """Wait for answers, for room to send, or for time to pass; False once told to stop."""
        writing = [self._socket] if self._blocked else []
        readable, writable, _ = select.select(
            [self._socket, sys.stdin], writing, [], max(0.0, timeout_s)
        )
        if self._socket in readable:
            self._read()
        if writable:
            self._excuse()
            self._blocked = False
        return sys.stdin not in readable

    def _excuse(self) -> None:
        """Mark what fell due while the target was not reading: the target's lateness, not ours."""
        if self._blocked:
            overdue = self._timetable.due_before(now_ns())
            self._timetable.fate[self._next : overdue] |= PUSHED_BACK

    def _read(self) -> None:
        try:
            chunk = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.fault = error.strerror or str(error)
            return
        if chunk:
            self._connection.receive(self._connection.opened(chunk))
        else:
            self._connection.lost("the target closed the transport")
        self._answers.read([one.text for one in self._connection.walker.others])
        self._connection.walker.others.clear()
        if self._connection.stage is Stage.CLOSED:
            self.fault = self._connection.answer
        elif self._connection.outgoing and not self._rest:
            # A pong: it must not stand inside an event the socket took only half of.
            self._rest = bytes(self._connection.outgoing)
            self._connection.outgoing.clear()
            self._send()
