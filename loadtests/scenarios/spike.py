"""A sudden burst."""

from typing import ClassVar

import msgspec

from loadtests.accounting.timeline import interval_percentiles
from loadtests.scenarios import Asked, Scenario, Seen, Values
from loadtests.schedule.course import Point
from loadtests.schedule.curve import steps

#: The rate between spikes, as a part of the spike's.
_NORMAL = 0.2

#: From two to three fifths of the window.
_FROM, _TO = 0.4, 0.6

#: It is over it once a second is at most so much slower than the ones before the spike.
_RECOVERED = 2.0


class Spike(Scenario):
    """Five times the rate for a fifth of the time: latency before, during, after, and recovery.

    The rate asked for is the spike's; a fifth of it runs before and after. Recovered is the first
    second after the spike whose p99 is at most twice the median second's before it.
    """

    clients: ClassVar[int] = 50
    rate: ClassVar[float] = 2500.0
    window_s: ClassVar[float] = 15.0
    proves: ClassVar[tuple[str, ...]] = ("lost = 0",)
    measures: ClassVar[tuple[str, ...]] = ("before_p99_us", "spike_p99_us", "recovery_s")

    @classmethod
    def point(cls, asked: Asked) -> Point:
        """Low, high, low."""
        low, window_s = asked.rate * _NORMAL, asked.window_s
        curve = steps(
            (
                (0.0, _FROM * window_s, low),
                (_FROM * window_s, _TO * window_s, asked.rate),
                (_TO * window_s, window_s, low),
            )
        )
        return msgspec.structs.replace(super().point(asked), rate=curve)

    @classmethod
    def figures(cls, seen: Seen) -> Values:
        """The median second's p99 before and after, the worst in the spike, time to recover."""
        seconds = interval_percentiles(seen.result, 99)
        from_s, to_s = _FROM * seen.result.window_s, _TO * seen.result.window_s
        before = sorted(value for at, value in seconds if at + 1 <= from_s)
        during = [value for at, value in seconds if from_s - 1 < at < to_s]
        after = [(at, value) for at, value in seconds if at >= to_s]
        found: Values = {}
        if before:
            found["before_p99_us"] = (before[len(before) // 2], "us")
        if during:
            found["spike_p99_us"] = (max(during), "us")
        if before and after:
            limit = _RECOVERED * before[len(before) // 2]
            again = next((at for at, value in after if value <= limit), None)
            if again is not None:
                found["recovery_s"] = (max(0.0, again - to_s), "s")
        return found
