"""Carries out the moves of a repeat: who connects, leaves, stalls, returns or knocks, and when.

Every move has its due instant from the schedule and is made whatever became of the one before.
How late it was is kept. The books stay exact: a client that leaves is owed what was due before it
left, one that joins what is due after it was ready, one that resumes everything.
"""

import random
from collections.abc import Callable, Iterable
from functools import partial

import gevent
import numpy as np
from gevent.event import Event

from loadtests.accounting.part import admission
from loadtests.assignment import Assignment
from loadtests.connections.connection import Position
from loadtests.receivers import Receivers
from loadtests.results import Admission, Return
from loadtests.schedule.course import Move
from loadtests.schedule.timetable import ACKNOWLEDGED, Timetable, now_ns
from loadtests.subscriber import Subscriber

#: One who leaves listens this long for what was due before; what has not come then is lost.
_FAREWELL_S = 1.0

#: How often it is looked whether somebody has everything it waits for.
_LOOK_S = 0.005


class Crowd:
    """The seats of one Locust process, whoever sits on them, and the strangers at the door."""

    def __init__(
        self,
        assignment: Assignment,
        receivers: Receivers,
        timetable: Timetable,
        restart: Callable[[], None],
    ) -> None:
        self._assignment = assignment
        self._point = assignment.point
        self._target = assignment.target
        self._receivers = receivers
        self._timetable = timetable
        self._restart = restart
        self._seats: dict[int, Subscriber] = {}
        self._joins = 0
        self._stop = Event()
        self._chance = random.Random(assignment.run)  # noqa: S311 - spreads load, guards nothing
        resuming = {move.seat for move in self._point.moves if move.resumes}
        everybody = self._point.backoff is not None and self._target.resume is not None
        self._tracks = set(range(self._point.clients)) if everybody else resuming
        self._open: set[Subscriber] = set()
        self._lags_ns: list[int] = []
        self.restart_ns = 0
        self.strangers: list[Admission] = []
        self.returns: list[Return] = []
        #: What went wrong on our side.
        self.faults: list[str] = []

    @property
    def moves(self) -> int:
        """How many moves were made."""
        return len(self._lags_ns)

    @property
    def lag_p99_us(self) -> float | None:
        """How late the moves were made, 99 of 100."""
        return float(np.percentile(self._lags_ns, 99)) / 1000 if self._lags_ns else None

    def first(self, seat: int) -> Subscriber | None:
        """Connect a seat before the schedule begins; None if it is to stay empty until then."""
        if seat in self._point.late_seats:
            return None
        return self._sit(seat, seat)

    def play(self, window_start_ns: int) -> None:
        """Make every move when it is due; returns at once."""
        if self._point.moves:
            gevent.spawn(self._play, sorted(self._point.moves, key=_when), window_start_ns)

    def stop(self) -> None:
        """Make no further move, and close the books on strangers."""
        self._stop.set()
        for stranger in list(self._open):
            stranger.on_ended()

    def _play(self, moves: Iterable[Move], window_start_ns: int) -> None:
        for move in moves:
            due_ns = window_start_ns + int(move.at_s * 1e9)
            wait_ns = due_ns - now_ns()
            if self._stop.wait(wait_ns / 1e9) if wait_ns > 0 else self._stop.is_set():
                return
            self._lags_ns.append(max(0, now_ns() - due_ns))
            try:
                self._make(move, due_ns)
            except OSError as error:
                self.faults.append(f"a move failed on our side: {move.act}: {error}")
                return
            if len(self._lags_ns) % 16 == 0:
                gevent.sleep(0)  # a crowd that is due at once must not keep arrivals waiting

    def _make(self, move: Move, due_ns: int) -> None:
        sitting = self._seats.get(move.seat)
        match move.act:
            case "join":
                self._join(move, due_ns)
            case "knock" | "hold":
                self._knock(move, due_ns)
            case "restart":
                self.restart_ns = now_ns()
                self._restart()
            case "leave" if sitting is not None:
                self._receivers.farewell(sitting)
                gevent.spawn(self._see_out, sitting)
            case "cut" if sitting is not None:
                self._receivers.cut(sitting)
                if move.seat not in self._tracks:
                    # What was in flight was not lost by the service: we hung up on it.
                    sitting.ledger.left = sitting.ledger.highest + 1
            case "stall" | "read" if sitting is not None:
                self._receivers.stall(sitting, stalled=move.act == "stall")
            case _:
                return  # a seat whose connection was refused: its admission says so

    def _join(self, move: Move, due_ns: int) -> None:
        before = self._seats.get(move.seat)
        position = None
        if move.resumes and before is not None and before.admitted:
            position = before.connection.position
            if position is None:
                self.faults.append(f"client {move.seat}: the target never said where it stands")
        joined = self._sit(move.seat, self._next_number(), due_ns, before, position)
        joined.who = "resume" if position is not None else "client"
        gevent.spawn_later(self._assignment.connect_s, self._give_up, joined)

    def _sit(
        self,
        seat: int,
        number: int,
        due_ns: int = 0,
        before: Subscriber | None = None,
        position: Position | None = None,
    ) -> Subscriber:
        """Begin a subscriber's connection; with a position its books go on from `before`."""
        assignment = self._assignment
        subscriber = self._receivers.connect(
            seat,
            assignment.allotment.client(number),
            self._target.credentials(assignment.subscribe_token),
            aside=seat in self._point.stalling_seats,
            tracks=seat in self._tracks,
            resumes=position,
        )
        subscriber.due_ns = due_ns
        if before is not None and position is not None:
            subscriber.ledger, subscriber.resumed = before.ledger, True
        self._receivers.subscribers.append(subscriber)
        self._seats[seat] = subscriber
        if self._point.backoff is not None:
            subscriber.on_ended = partial(self._gone, subscriber)
        return subscriber

    def _next_number(self) -> int:
        """Number connections after the first ones on: each has its share of an address."""
        self._joins += 1
        return self._point.clients - 1 + self._joins

    def _give_up(self, subscriber: Subscriber) -> None:
        if not subscriber.settled_at_ns:
            self._receivers.give_up(subscriber, self._assignment.connect_s)

    def _see_out(self, leaving: Subscriber) -> None:
        """Close a leaver's connection once it has what was due before it left."""
        end, until_ns = self._timetable.events, now_ns() + int(_FAREWELL_S * 1e9)
        while leaving.ready and leaving.ledger.missing(end) and now_ns() < until_ns:
            if self._stop.wait(_LOOK_S):  # arrivals announce themselves to the receivers only
                break
        self._receivers.leave(leaving)

    def _knock(self, move: Move, due_ns: int) -> None:
        assignment = self._assignment
        token = assignment.subscribe_token
        if token is not None and not move.valid:
            token = altered(token)
        stranger = self._receivers.connect(
            move.seat,
            assignment.allotment.stranger(move.seat),
            self._target.credentials(token, move.method),
        )
        shown = f"{'valid' if move.valid else 'altered'} {move.method or ''}".rstrip()
        self._open.add(stranger)

        def ended() -> None:
            self._open.discard(stranger)
            self.strangers.append(admission(stranger, due_ns, move.act, shown))

        if move.act == "knock":
            stranger.on_settled = partial(self._send_away, stranger)
        if stranger.settled_at_ns:
            ended()
            return
        stranger.on_ended = ended
        gevent.spawn_later(assignment.connect_s, self._give_up, stranger)

    def _send_away(self, stranger: Subscriber) -> None:
        gevent.spawn(self._receivers.leave, stranger)  # once its answer has been dealt with

    def _gone(self, subscriber: Subscriber) -> None:
        """A client lost its connection: while the target restarts, it tries to come back."""
        if self.restart_ns and subscriber.admitted and not subscriber.leaving:
            gevent.spawn(self._return, subscriber)

    def _return(self, before: Subscriber) -> None:
        backoff = self._point.backoff
        assert backoff is not None  # noqa: S101 - `_sit` asked
        self._receivers.settle()
        position = before.connection.position
        if position is None:
            before.ledger.left = self._timetable.due_before(self.restart_ns)
        down_ns, attempts = before.ended_at_ns, 0
        while not self._stop.wait(backoff.delay_s(attempts, self._chance)):
            attempts += 1
            back = self._sit(before.seat, self._next_number(), 0, before, position)
            back.who = "return"
            settled = Event()
            back.on_settled = settled.set
            if not back.settled_at_ns and not settled.wait(self._assignment.connect_s):
                self._receivers.give_up(back, self._assignment.connect_s)
            if back.ready:
                level_ns = self._await_level(back) if position is not None else back.settled_at_ns
                self.returns.append(Return(down_ns, attempts, back.settled_at_ns, level_ns))
                return
        self.returns.append(Return(down_ns, attempts, 0, 0))

    def _await_level(self, back: Subscriber) -> int:
        """Wait until a client has everything acknowledged that was due before it was live."""
        until = self._timetable.due_before(back.settled_at_ns)
        fate = self._timetable.fate
        while any(fate[number] & ACKNOWLEDGED for number in back.ledger.missing(until)):
            if self._stop.wait(_LOOK_S):  # as in `_see_out`
                return 0
        return now_ns()


def altered(token: str) -> str:
    """Return a token that differs in one character, inside what proves it genuine."""
    place = max(0, len(token) - 10)
    other = "A" if token[place] != "A" else "B"
    return token[:place] + other + token[place + 1 :]


def _when(move: Move) -> float:
    return move.at_s
