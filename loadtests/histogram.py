"""HDR histograms filled by the thousand: HdrHistogram's own buckets, computed with numpy.

Values are integer nanoseconds in, microseconds in the buckets: 1 µs to one hour with three
significant digits. Sum, extremes and count are exact, beside the buckets; a value no bucket can
hold (negative, or over an hour) is counted and never clamped.
"""

from typing import Any, Self

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from monitor.contract import evidence

HIGHEST_US = 3_600_000_000
SIGNIFICANT_DIGITS = 3

_HALF_MAGNITUDE = 10  # 2^11 sub-buckets resolve three digits
_MASK = (1 << (_HALF_MAGNITUDE + 1)) - 1

Integers = NDArray[np.int64]


def bucket_index(values_us: Integers) -> Integers:
    """Return HdrHistogram's index of each non-negative value (`_counts_index_for`)."""
    # frexp's exponent of an integer below 2^53 is its bit length.
    bits = np.frexp((values_us | _MASK).astype(np.float64))[1].astype(np.int64)
    bucket = bits - (_HALF_MAGNITUDE + 1)
    return ((bucket + 1) << _HALF_MAGNITUDE) + (values_us >> bucket) - (1 << _HALF_MAGNITUDE)


def value_us(index: int) -> int:
    """Return the largest value a bucket holds."""
    return int(_EDGES.get_highest_equivalent_value(_EDGES.get_value_from_index(index)))


def _empty() -> HdrHistogram:
    return HdrHistogram(1, HIGHEST_US, SIGNIFICANT_DIGITS)


_EDGES = _empty()
BUCKETS: int = _EDGES.counts_len


class Recorder:
    """One growing histogram."""

    def __init__(self) -> None:
        #: Values by bucket index.
        self.counts = np.zeros(BUCKETS, dtype=np.int64)
        self.count = 0
        self.sum_ns = 0
        self.min_ns: int | None = None
        self.max_ns: int | None = None
        self.out_of_range = 0

    def record(self, values_ns: Integers) -> None:
        """Add values, in nanoseconds; each is rounded to the nearest microsecond's bucket."""
        if not len(values_ns):
            return
        self.count += len(values_ns)
        self.sum_ns += int(values_ns.sum())
        low, high = int(values_ns.min()), int(values_ns.max())
        self.min_ns = low if self.min_ns is None else min(self.min_ns, low)
        self.max_ns = high if self.max_ns is None else max(self.max_ns, high)
        values_us = (values_ns + 500) // 1000
        fits = (values_us >= 0) & (values_us <= HIGHEST_US)
        if not fits.all():
            self.out_of_range += int((~fits).sum())
            values_us = values_us[fits]
        index = bucket_index(values_us)
        if len(index):
            counts = np.bincount(index)
            self.counts[: len(counts)] += counts

    def merge(self, other: Self) -> None:
        """Add everything `other` holds."""
        self.counts += other.counts
        self.count += other.count
        self.sum_ns += other.sum_ns
        self.out_of_range += other.out_of_range
        lows = [low for low in (self.min_ns, other.min_ns) if low is not None]
        highs = [high for high in (self.max_ns, other.max_ns) if high is not None]
        self.min_ns, self.max_ns = min(lows, default=None), max(highs, default=None)

    @property
    def mean_us(self) -> float | None:
        """Exact mean, or None of nothing."""
        return self.sum_ns / self.count / 1000 if self.count else None

    @property
    def max_us(self) -> float | None:
        """Exact maximum, or None of nothing."""
        return None if self.max_ns is None else self.max_ns / 1000

    def percentile_us(self, percent: float) -> float | None:
        """Return the value `percent` of all values are at or below, to three digits."""
        held = self.count - self.out_of_range
        if not held:
            return None
        rank = max(1, int(np.ceil(held * percent / 100)))
        index = int(np.searchsorted(np.cumsum(self.counts), rank))
        # No bucket's upper edge says more than the largest value that was seen.
        return min(float(value_us(index)), (self.max_ns or 0) / 1000)

    def export(self, name: str, repeat: int) -> evidence.Histogram:
        """Return the histogram as evidence: encoded, with what is exact beside it."""
        return evidence.Histogram(
            name=name,
            repeat=repeat,
            unit="us",
            encoded=self._encoded().encode().decode("ascii"),
            count=self.count,
            sum=round(self.sum_ns / 1000),
            min=round((self.min_ns or 0) / 1000),
            max=round((self.max_ns or 0) / 1000),
            out_of_range=self.out_of_range,
        )

    def _encoded(self) -> Any:
        histogram = _empty()
        filled = np.flatnonzero(self.counts)
        for index in filled.tolist():
            histogram.counts[index] = int(self.counts[index])
        if len(filled):
            histogram.set_internal_tacking_values(
                int(filled[0]), int(filled[-1]), int(self.counts.sum())
            )
        return histogram

    def state(self) -> dict[str, Any]:
        """Return everything as plain values, for another process to `restore`."""
        filled = np.flatnonzero(self.counts)
        return {
            "counts": dict(zip(filled.tolist(), self.counts[filled].tolist(), strict=True)),
            "count": self.count,
            "sum_ns": self.sum_ns,
            "min_ns": self.min_ns,
            "max_ns": self.max_ns,
            "out_of_range": self.out_of_range,
        }

    @classmethod
    def restore(cls, state: dict[str, Any]) -> Self:
        """Rebuild a histogram from `state`."""
        recorder = cls()
        for index, count in state["counts"].items():
            recorder.counts[int(index)] = count
        recorder.count = state["count"]
        recorder.sum_ns = state["sum_ns"]
        recorder.min_ns = state["min_ns"]
        recorder.max_ns = state["max_ns"]
        recorder.out_of_range = state["out_of_range"]
        return recorder
