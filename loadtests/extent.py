"""How much a run does and about how long it takes, from what its repeats offer. Pure.

Everybody who says it to people (the list, the page of scenarios, the command before it begins)
says it from here.
"""

import math
from collections.abc import Sequence

import msgspec

from loadtests.schedule.course import Point

#: Users that come in one second: connecting is not what is measured, and accept queues are short.
#: Seats that are empty at first come all at once.
SPAWN_RATE = 100

#: The calibration's own warm-up and window, in seconds.
CALIBRATION_WARMUP_S = 1.0
CALIBRATION_WINDOW_S = 2.0

#: Events a second it has at least: in two seconds of fewer there may be none.
CALIBRATION_RATE = 50.0

#: A Locust process starts, connects a first batch and ends; the target starts, and the report is
#: made: in s, on two quiet cores and rounded up.
_PROCESS_S = 1.5
_AROUND_S = 3.0


class Extent(msgspec.Struct, frozen=True):
    """So many repeats of each of so many points, or so many attempts of a search, least and most.

    `takes_s` is about what the whole run takes, least and most, calibration and report included.
    """

    points: int
    repeats: int
    window_s: float
    takes_s: tuple[float, float]
    attempts: tuple[int, int] | None = None

    @property
    def planned(self) -> int | None:
        """How many repeats there will be of all points; None if that depends on how they go."""
        return self.points * self.repeats if self.attempts is None else None

    @property
    def offered(self) -> str:
        """What is done, in words: `9 points × 5 × 2.5 s`, `about 13 to 25 attempts × 3 s`."""
        if self.attempts is not None:
            least, most = self.attempts
            return f"about {least} to {most} attempts × {self.window_s:g} s"
        points = f"{self.points} points × " if self.points > 1 else ""
        return f"{points}{self.repeats} × {self.window_s:g} s"

    @property
    def takes(self) -> str:
        """How long that takes, in words: `about 75 s`, `about 1.5 to 2.5 min`."""
        least, most = self.takes_s
        if most < 100:
            words = dict.fromkeys(f"{5 * math.ceil(one / 5)}" for one in (least, most))
            return f"about {' to '.join(words)} s"
        words = dict.fromkeys(f"{math.ceil(one / 30) / 2:g}" for one in (least, most))
        return f"about {' to '.join(words)} min"


def extent(
    points: Sequence[Point],
    repeats: int,
    drain_s: float,
    attempts: tuple[int, int] | None = None,
) -> Extent:
    """Return the extent of a run that repeats these points, each offered once, so many times.

    Of a search (`attempts`) they are what it starts with. `drain_s` is how long is waited, after a
    window, for what may still come: to the end only where the target was restarted, for what it
    did not acknowledge never comes.
    """
    once_s = [
        _PROCESS_S + _connecting_s(point) + point.warmup_s + point.window_s + restarted_s
        for point in points
        for restarted_s in (drain_s if point.restarts else 0.0,)
    ]
    largest = max(_connecting_s(point) for point in points)
    around_s = _AROUND_S + _PROCESS_S + largest + CALIBRATION_WARMUP_S + CALIBRATION_WINDOW_S
    each_s = sum(once_s) / len(once_s)
    counts = attempts or (repeats * len(points),) * 2
    least_s, most_s = (around_s + count * each_s for count in counts)
    return Extent(len(points), repeats, points[0].window_s, (least_s, most_s), attempts)


def _connecting_s(point: Point) -> float:
    """How long clients take to come beyond the first batch, in s."""
    return max(0, math.ceil((point.clients - len(point.late_seats)) / SPAWN_RATE) - 1)
