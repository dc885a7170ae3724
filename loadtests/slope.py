"""The robust slope of a series, and the troughs of a saw-tooth. Pure.

Theil and Sen's estimator: the median of the slopes between all pairs. Up to 29 % of the points may
be anything without moving it far. The interval is Sen's (P. K. Sen, Journal of the American
Statistical Association 63, 1968), by the normal approximation of Kendall's S.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_NORMAL_95 = 1.959964

#: Fewer points than this say nothing of a slope.
LEAST_POINTS = 8


class Slope(NamedTuple):
    """A slope in units of y per unit of x, with its 95 % interval."""

    value: float
    low: float
    high: float


def theil_sen(x: Sequence[float], y: Sequence[float]) -> Slope | None:
    """Return the robust slope of y over x (all x different); None of too few points."""
    count = len(x)
    if count < LEAST_POINTS:
        return None
    across, along = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    first, second = np.triu_indices(count, 1)
    slopes = np.sort((along[second] - along[first]) / (across[second] - across[first]))
    spread = _NORMAL_95 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    pairs = len(slopes)
    low = max(0, math.floor((pairs - spread) / 2))
    high = min(pairs - 1, math.ceil((pairs + spread) / 2))
    return Slope(float(np.median(slopes)), float(slopes[low]), float(slopes[high]))


def troughs(
    x: Sequence[float], y: Sequence[float], start: float, end: float, count: int
) -> tuple[list[float], list[float]]:
    """Return the lowest y in each of `count` equal stretches of [start, end), and where it was.

    Memory that is collected now and then is a saw-tooth: its troughs show what stays.
    """
    lowest: dict[int, tuple[float, float]] = {}
    for at, value in zip(x, y, strict=True):
        if start <= at < end:
            stretch = int((at - start) * count / (end - start))
            if stretch not in lowest or value < lowest[stretch][1]:
                lowest[stretch] = (at, value)
    found = [lowest[stretch] for stretch in sorted(lowest)]
    return [at for at, _ in found], [value for _, value in found]
