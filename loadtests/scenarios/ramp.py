"""More and more of everything."""

from typing import ClassVar

import msgspec

from loadtests.scenarios import Asked, Scenario
from loadtests.schedule.course import Move, Point
from loadtests.schedule.curve import instants

#: A tenth of both from the start.
_FIRST = 0.1


class Ramp(Scenario):
    """Clients and rate rise evenly from a tenth to all: where, on the way, latency bends.

    `timeline.csv` has the figures of every second on the way up; a second belongs to the events
    that were due in it.
    """

    clients: ClassVar[int] = 100
    rate: ClassVar[float] = 1000.0
    window_s: ClassVar[float] = 20.0
    repeats: ClassVar[int] = 1
    once: ClassVar[str] = (
        "one climb is one process: what is read off it is second by second in `timeline.csv`, and"
        " a figure over all of it mixes every load on the way. It has no interval"
    )
    proves: ClassVar[tuple[str, ...]] = ("refused = 0", "lost = 0")

    @classmethod
    def point(cls, asked: Asked) -> Point:
        """Seats are taken one after the other, the curve rises in a line."""
        first = max(1, round(asked.clients * _FIRST))
        joining = (asked.clients - first) / asked.window_s
        moves = tuple(
            Move(at_s, "join", first + number)
            for number, at_s in enumerate(
                instants(((0.0, joining),), 0.0, asked.window_s)[: asked.clients - first]
            )
        )
        curve = ((0.0, asked.rate * _FIRST), (asked.window_s, asked.rate))
        return msgspec.structs.replace(super().point(asked), rate=curve, moves=moves)
