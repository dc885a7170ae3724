"""What one repeat offers, as data: a rate curve, and who does what when.

A scenario writes a `Point`; the conductor carries it out. Every instant counts from the start of
the measured window and stands in the schedule before the repeat begins: nothing waits for an
answer before it is due.
"""

import random
from typing import Literal

import msgspec

from loadtests.schedule.curve import Curve, mean, peak
from monitor.contract.target import Method

Act = Literal["join", "leave", "cut", "stall", "read", "knock", "hold", "restart"]


class Move(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing done at one instant.

    Subscribers, by `seat`: `join` connects (a seat whose first move this is is empty before),
    `leave` closes once everything due before has come, `cut` drops the connection without a word,
    `stall` stops reading, `read` goes on reading. With `resumes`, a `join` asks for what was
    missed. Strangers, by `seat` of an address of their own: `knock` connects, waits for the answer
    and goes; `hold` keeps the connection. `restart` restarts the target.
    """

    at_s: float
    act: Act
    seat: int = 0
    resumes: bool = False
    method: Method | None = None
    #: False: the token shown is altered, so that it must be refused.
    valid: bool = True


class Backoff(msgspec.Struct, frozen=True):
    """How a client returns to a service that is gone: exponentially longer waits, up to a cap.

    Without `jitter` everybody waits the same; with it, a uniform part of that ("full jitter").
    """

    base_s: float
    cap_s: float
    jitter: bool

    def delay_s(self, attempt: int, chance: random.Random) -> float:
        """Return the wait before attempt number `attempt`, from 0."""
        longest = min(self.cap_s, self.base_s * 2**attempt)
        return chance.uniform(0, longest) if self.jitter else longest


class Point(msgspec.Struct, frozen=True):
    """What one repeat offers.

    `label` tells the points of a run apart; repeats of one point share it. A point that is not
    `counted` only looks for where to measure: it is recorded, and no figure is made of it. Nor is
    one of a `trial` that missed an objective. `punctual` says that figures are about when moves
    were made, so that late ones spoil them.
    """

    clients: int
    rate: Curve
    warmup_s: float
    window_s: float
    label: str = ""
    moves: tuple[Move, ...] = ()
    strangers: int = 0
    backoff: Backoff | None = None
    counted: bool = True
    trial: bool = False
    punctual: bool = True

    @property
    def mean_rate(self) -> float:
        """Events a second over the window."""
        return mean(self.rate, 0.0, self.window_s)

    @property
    def peak_rate(self) -> float:
        """The highest rate, in events a second."""
        return peak(self.rate)

    @property
    def late_seats(self) -> frozenset[int]:
        """Seats that are empty before the window: their first move is to join."""
        first: dict[int, Act] = {}
        for move in sorted(self.moves, key=lambda one: one.at_s):
            if move.act in {"join", "leave", "cut", "stall", "read"}:
                first.setdefault(move.seat, move.act)
        return frozenset(seat for seat, act in first.items() if act == "join")

    @property
    def stalling_seats(self) -> frozenset[int]:
        """Seats that stop reading at some time: counted apart from all others."""
        return frozenset(move.seat for move in self.moves if move.act == "stall")

    @property
    def restarts(self) -> bool:
        """True if the target is restarted meanwhile."""
        return any(move.act == "restart" for move in self.moves)

    @property
    def divisible(self) -> bool:
        """True if its clients stay to the end, so that several processes can share them."""
        return not self.moves and not self.strangers and self.backoff is None

    @property
    def connections(self) -> int:
        """How many connections subscribers may open in all: each needs its share of an address."""
        joins = sum(move.act == "join" for move in self.moves)
        returns = RETURNS_PLANNED * self.clients if self.backoff is not None else 0
        return self.clients - len(self.late_seats) + joins + returns


#: How often one client may have to try before a restarted service takes it back.
RETURNS_PLANNED = 40


def steady(clients: int, rate: float, warmup_s: float, window_s: float) -> Point:
    """Return a point where nothing changes: these clients, this rate."""
    return Point(clients, ((0.0, rate),), warmup_s, window_s)
