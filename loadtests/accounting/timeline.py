"""A repeat second by second: percentiles of the sparse histograms its intervals are kept in."""

import numpy as np

from loadtests.accounting.histogram import UPPER_US
from loadtests.accounting.latencies import INTERVAL_NS
from loadtests.results import RepeatResult


def percentile_us(histogram: dict[int, int], percent: float) -> float | None:
    """Return a percentile of a sparse histogram, in µs; None of an empty one."""
    if not histogram:
        return None
    index = sorted(histogram)
    counts = np.cumsum([histogram[one] for one in index])
    rank = np.ceil(counts[-1] * percent / 100)
    return float(UPPER_US[index[int(np.searchsorted(counts, rank))]])


def interval_percentiles(result: RepeatResult, percent: float) -> list[tuple[float, float]]:
    """Return (start in s, percentile in µs) of every interval in which something was due."""
    return [
        (number * INTERVAL_NS / 1e9, value)
        for number, part in sorted(result.part.intervals.items())
        if (value := percentile_us(part.response, percent)) is not None
    ]
