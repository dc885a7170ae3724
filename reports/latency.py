"""Latency distributions: HdrHistogram buckets decoded, merged and read off exactly.

Percentiles are never averaged: repeats are merged bucket by bucket.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import hdrh.histogram
import numpy as np
import numpy.typing as npt

from monitor.contract.evidence import Histogram

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Distribution:
    """Values in `unit`, as bucket upper ends with their counts, ascending; the rest is exact.

    `out_of_range` values are in no bucket. They are ranked above every bucket: what the
    histogram could not hold must not make a percentile look better.
    """

    unit: str
    values: Integers
    counts: Integers
    count: int
    sum: int
    min: int
    max: int
    out_of_range: int

    @property
    def mean(self) -> float:
        """The exact mean, from the exact sum."""
        return self.sum / self.count

    def percentile(self, fraction: float) -> int:
        """Return the smallest value that at least `fraction` (0 to 1) of all values keep within.

        It is a bucket's upper end (0.1 % wide with three significant digits) and never above
        the exact maximum.
        """
        rank = max(1, int(np.ceil(fraction * self.count - 1e-9)))
        bucket = int(np.searchsorted(np.cumsum(self.counts), rank))
        return self.max if bucket >= len(self.values) else min(int(self.values[bucket]), self.max)

    def curve(self) -> tuple[Floats, Floats]:
        """Return the percentile curve as steps: 1/(1-p) and the value at p, both ascending.

        The last point is the maximum, at 1/(1-p) = count: one value in `count` is that large.
        """
        below = np.concatenate(([0], np.cumsum(self.counts)))
        values = np.append(np.minimum(self.values, self.max), self.max).astype(np.float64)
        odds = self.count / np.maximum(self.count - below, 1)
        return np.append(odds, float(self.count)), np.append(values, float(self.max))


def distribution(histograms: Iterable[Histogram]) -> Distribution | None:
    """Merge histograms of one unit; None if they hold no value.

    Raises:
        ValueError: the histograms are in different units.
    """
    parts = [histogram for histogram in histograms if histogram.count]
    if not parts:
        return None
    if len({part.unit for part in parts}) > 1:
        raise ValueError(f"histograms in different units: {sorted({part.unit for part in parts})}")
    buckets = [_buckets(part.encoded) for part in parts]
    values, where = np.unique(np.concatenate([value for value, _ in buckets]), return_inverse=True)
    counts = np.zeros(len(values), np.int64)
    np.add.at(counts, where, np.concatenate([count for _, count in buckets]))
    return Distribution(
        unit=parts[0].unit,
        values=values,
        counts=counts,
        count=sum(part.count for part in parts),
        sum=sum(part.sum for part in parts),
        min=min(part.min for part in parts),
        max=max(part.max for part in parts),
        out_of_range=sum(part.out_of_range for part in parts),
    )


def _buckets(encoded: str) -> tuple[Integers, Integers]:
    """Decode one HdrHistogram V2: upper ends of its non-empty buckets, and their counts."""
    decoded = hdrh.histogram.HdrHistogram.decode(encoded)
    counts = np.ctypeslib.as_array(decoded.counts).astype(np.int64)
    filled = np.flatnonzero(counts)
    lows = [decoded.get_value_from_index(int(index)) for index in filled]
    highs = [decoded.get_highest_equivalent_value(low) for low in lows]
    return np.array(highs, np.int64), counts[filled]
