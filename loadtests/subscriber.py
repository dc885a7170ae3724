"""One subscriber as the receivers know it: its connection, its socket, its books."""

from collections.abc import Callable
from typing import Any

from loadtests.accounting.ledger import Ledger
from loadtests.connections.connection import Connection, Stage
from loadtests.schedule.timetable import now_ns


def _nothing() -> None:
    """Nobody waits for this."""


class Subscriber:
    """One subscriber: its connection, its socket, its ledger once events are measured.

    `seat` is the client it is a connection of; `aside`, its deliveries are counted and not timed.
    """

    def __init__(
        self, seat: int, address: str | None, connection: Connection, sock: Any, *, aside: bool
    ) -> None:
        self.seat = seat
        self.aside = aside
        self.address = address
        #: When the schedule wanted it (0: as it came), and what it is: client, return, resume.
        self.due_ns = 0
        self.who = "client"
        self.began_at_ns = now_ns()
        self.ended_at_ns = 0
        self.connection = connection
        self.socket = sock
        self.receive: Callable[[int], bytes] = sock.recv
        self.ledger = Ledger(0)
        self.settled_at_ns = 0
        #: It was ready at some time, whatever came after.
        self.admitted = False
        #: It ended although nobody asked it to.
        self.dropped = False
        self.leaving = False
        self.stalled = False
        #: Its ledger goes on from an earlier connection's.
        self.resumed = False
        #: Called once each: when it is ready or refused, and when its connection ends.
        self.on_settled: Callable[[], None] = _nothing
        self.on_ended: Callable[[], None] = _nothing

    @property
    def ready(self) -> bool:
        """True while it receives events."""
        return self.connection.stage is Stage.READY
