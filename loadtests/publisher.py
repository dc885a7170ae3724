"""The publisher: sends each event when it is due, whatever the target makes of the last one.

A process of its own (`python -m loadtests.publisher ASSIGNMENT`), so that receiving never delays
sending. It prints one JSON line when connected, waits for a line on stdin, plays the timetable,
and prints what became of it. It ends when its stdin closes, so it never outlives its parent.
"""

import contextlib
import ctypes
import gc
import os
import select
import socket
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
from numpy.typing import NDArray

from loadtests.assignment import Assignment, load_assignment, load_schedule
from loadtests.connection import Connection, Stage
from loadtests.frames import identifier
from loadtests.replay import load_trace
from loadtests.timetable import ACKNOWLEDGED, PUSHED_BACK, REFUSED, SENT, Timetable, now_ns
from loadtests.tls import Tls, tls_context
from monitor.contract.target import Publish, Target, fill

_PR_SET_TIMERSLACK = 29

#: The kernel may delay a wake-up by this slack, 50 µs unless told otherwise.
_TIMER_SLACK_NS = 1

#: Up to this rate the publisher needs so little of a core that it may run ahead of ordinary
#: processes (real-time priority, where permitted): a busy core would delay sends by a whole
#: scheduler slice, some 4 ms, and two cores shared with target and receivers are often busy.
_REAL_TIME_RATE = 5_000.0

_PLACE = "\0"  # no event carries this character

_READ_BYTES = 65_536

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
    #: Stretches of events cut by an outage: from the first unanswered to the first sent after it.
    outages: tuple[tuple[int, int], ...] = ()


class Ready(msgspec.Struct, frozen=True):
    """The publisher's first line: connected, or the target's answer."""

    ready: bool
    answer: str


class Messages:
    """The publications of a trace, ready but for identifier and timestamp."""

    def __init__(
        self,
        publish: Publish,
        run: str,
        events: Sequence[dict[str, Any]],
        recorded: NDArray[np.int64],
    ) -> None:
        self._run = run
        self._recorded = recorded
        self._parts = [_split(publish, event) for event in events]

    def build(self, number: int) -> bytes:
        """Return publication `number`, stamped with the current time."""
        before, between, after, identified_first = self._parts[self._recorded[number]]
        name = identifier(self._run, number)
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
        first, second = (name, stamp) if identified_first else (stamp, name)
        return f"{before}{first}{between}{second}{after}".encode()


def _split(publish: Publish, event: dict[str, Any]) -> tuple[str, str, str, bool]:
    places = {"timestamp": _PLACE, publish.id_field: _PLACE}
    text = msgspec.json.encode({**event, **places}).decode()
    message = fill(publish.message, {"event": text})
    before, between, after = message.split("\\u0000")
    order = [key for key in {**event, **places} if key in places]
    return before, between, after, order[0] == publish.id_field


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
        first = min(self._answers.awaited, self._next)
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
            chunk = self._socket.recv(_READ_BYTES)
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


class Answers:
    """Matches the target's answers to publications; both come in order."""

    def __init__(self, timetable: Timetable, accepted: bytes, refused: bytes) -> None:
        self._timetable = timetable
        self._accepted = accepted
        self._refused = refused
        self.acknowledged = 0
        self.refused = 0
        self.first_refusal = ""
        #: The first publication without an answer.
        self.awaited = 0

    def read(self, texts: Sequence[bytes]) -> None:
        """Take messages of the target; those that are no answer are none of ours."""
        for text in texts:
            number = self.awaited
            if number >= self._timetable.events:
                return
            if self._accepted and self._accepted in text:
                self._timetable.fate[number] |= ACKNOWLEDGED
                self.acknowledged += 1
                self.awaited += 1
            elif self._refused and self._refused in text:
                self._timetable.fate[number] |= REFUSED
                self.refused += 1
                self.awaited += 1
                self.first_refusal = self.first_refusal or text[:200].decode("utf-8", "replace")

    def skip_to(self, number: int) -> None:
        """Expect no answer to what was published before `number`: its connection is gone."""
        self.awaited = number

    def owed(self, sent: int) -> bool:
        """Tell whether an answer is still to come for the first `sent` publications."""
        return bool(self._accepted) and self.awaited < sent


def connect(assignment: Assignment, target: Target) -> tuple[socket.socket, Connection]:
    """Open the publisher's connection, ready or closed, within `connect_s`."""
    host, port = assignment.peer
    address = assignment.allotment.publisher
    context = tls_context(target)
    connection = Connection(
        target,
        target.credentials(assignment.publish_token),
        b"\0",
        subscribes=False,
        tls=None if context is None else Tls(context, urlsplit(target.url).hostname or ""),
    )
    source = None if address is None else (address, 0)
    sock = socket.create_connection((host, port), assignment.connect_s, source)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while connection.stage not in {Stage.READY, Stage.CLOSED}:
        sock.sendall(connection.outgoing)
        connection.outgoing.clear()
        try:
            chunk = sock.recv(_READ_BYTES)
        except TimeoutError:
            connection.lost(f"no answer within {assignment.connect_s:g} s")
            break
        if chunk:
            connection.receive(connection.opened(chunk))
        else:
            connection.lost("the target closed the transport")
    sock.sendall(connection.outgoing)
    connection.outgoing.clear()
    sock.setblocking(False)
    return sock, connection


def main(arguments: Sequence[str]) -> None:
    """Play the assignment named on the command line."""
    assignment = load_assignment(Path(arguments[0]))
    target = assignment.target
    _be_punctual(assignment.point.peak_rate)
    timetable = Timetable(assignment.timetable)
    trace = load_trace(Path(assignment.trace))
    recorded = load_schedule(assignment).recorded
    messages = Messages(target.publish, assignment.run, trace.events, recorded)
    try:
        sock, connection = connect(assignment, target)
    except OSError as error:
        _tell(Ready(False, error.strerror or str(error)))
        return
    _tell(Ready(connection.stage is Stage.READY, connection.answer))
    if connection.stage is not Stage.READY or not sys.stdin.readline():
        return
    gc.freeze()
    gc.disable()  # nothing here makes cycles, and a collection would delay sends
    reconnect = partial(_connect_again, assignment, target) if assignment.point.restarts else None
    player = Player(sock, connection, timetable, messages, reconnect)
    _tell(player.play(target.publish, assignment.drain_s))


def _connect_again(
    assignment: Assignment, target: Target
) -> tuple[socket.socket, Connection] | None:
    """Return another open connection, or None while the target is away or refuses."""
    try:
        sock, connection = connect(assignment, target)
    except OSError:
        return None  # not there yet: what falls due meanwhile is booked as the target's
    if connection.stage is Stage.READY:
        return sock, connection
    sock.close()
    return None


def _tell(line: Ready | Outcome) -> None:
    sys.stdout.write(msgspec.json.encode(line).decode() + "\n")
    sys.stdout.flush()


def _be_punctual(rate: float) -> None:
    """Ask the kernel for exact wake-ups; what it does not grant, the run's verdict will show."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, _TIMER_SLACK_NS, 0, 0, 0)
    if rate <= _REAL_TIME_RATE:
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


if __name__ == "__main__":
    main(sys.argv[1:])
