"""The publisher: sends each event when it is due, whatever the target makes of the last one.

A process of its own (`python -m loadtests.publishing.publisher ASSIGNMENT`), so that receiving
never delays sending. It prints one JSON line when connected, waits for a line on stdin, plays the
timetable, and prints what became of it. It ends when its stdin closes, so it never outlives its
parent.
"""

import contextlib
import ctypes
import gc
import os
import socket
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from loadtests.assignment import Assignment, load_assignment, load_schedule
from loadtests.connections.connection import Connection, Stage
from loadtests.connections.tls import Tls, tls_context
from loadtests.publishing.player import READ_BYTES, Outcome, Player
from loadtests.publishing.publications import Messages
from loadtests.schedule.replay import load_trace
from loadtests.schedule.timetable import Timetable
from monitor.contract.target import Target

_PR_SET_TIMERSLACK = 29

#: The kernel may delay a wake-up by this slack, 50 µs unless told otherwise.
_TIMER_SLACK_NS = 1

#: Up to this rate the publisher needs so little of a core that it may run ahead of ordinary
#: processes (real-time priority, where permitted): a busy core would delay sends by a whole
#: scheduler slice, some 4 ms, and two cores shared with target and receivers are often busy.
_REAL_TIME_RATE = 5_000.0


class Ready(msgspec.Struct, frozen=True):
    """The publisher's first line: connected, or the target's answer."""

    ready: bool
    answer: str


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
            chunk = sock.recv(READ_BYTES)
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
