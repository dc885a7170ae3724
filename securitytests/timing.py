"""Times requests against each other: in turn, so that what slows the machine slows them all."""

import math
import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from securitytests.probe.http import Request

if TYPE_CHECKING:
    from securitytests.bench import Bench


async def fastest_each(
    bench: "Bench", requests: Sequence[Request], samples: int
) -> tuple[float, ...]:
    """Return for each request the shortest time to its answer, in seconds, of `samples` tries.

    The shortest, since all that disturbs a measurement makes it longer.
    """
    times: list[list[float]] = [[] for _ in requests]
    for _ in range(samples):
        for request, taken in zip(requests, times, strict=True):
            taken.append(await time_to_answer(bench, request))
    return tuple(min(taken) for taken in times)


async def time_to_answer(bench: "Bench", request: Request) -> float:
    """Return seconds from the first byte sent to the answer, whichever it is."""
    peer = await bench.connect()
    started = bench.now()
    await peer.request(request, body=False)
    taken = bench.now() - started
    peer.stream.close()
    return taken


class Difference(msgspec.Struct, frozen=True):
    """The median of paired differences in seconds, and an interval that has it with 99.9 %."""

    median_s: float
    low_s: float
    high_s: float

    @property
    def least_s(self) -> float:
        """How far from zero the whole interval is; 0.0 if zero is in it."""
        return max(0.0, self.low_s, -self.high_s)

    def __str__(self) -> str:
        ends = f"{1_000 * self.low_s:+.3f} to {1_000 * self.high_s:+.3f}"
        return f"{1_000 * self.median_s:+.3f} ms ({ends})"


#: Standard deviations of a normal distribution that 99.9 % lie within, on both sides.
_SIGMAS = 3.29


def difference(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Return how much longer the second took than the first, taken in pairs of one round.

    The interval is that of the sign test: the order statistics between which the median lies,
    whatever the distribution. Both have the same length, of at least 20.
    """
    apart = sorted(b - a for a, b in zip(first, second, strict=True))
    rank = math.floor((len(apart) - _SIGMAS * math.sqrt(len(apart))) / 2)
    return Difference(statistics.median(apart), apart[rank], apart[-1 - rank])
