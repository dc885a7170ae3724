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

#: The percentiles that are reported, by the name they have in a metric.
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9, "p9999": 99.99}

_HALF_MAGNITUDE = 10  # 2^11 sub-buckets resolve three digits
_MASK = (1 << (_HALF_MAGNITUDE + 1)) - 1

Integers = NDArray[np.int64]


def bucket_index(values_us: Integers) -> Integers:
    """Return HdrHistogram's index of each non-negative value (`_counts_index_for`)."""
    # frexp's exponent of an integer below 2^53 is its bit length.
    bits = np.frexp((values_us | _MASK).astype(np.float64))[1].astype(np.int64)
    bucket = bits - (_HALF_MAGNITUDE + 1)
    return ((bucket + 1) << _HALF_MAGNITUDE) + (values_us >> bucket) - (1 << _HALF_MAGNITUDE)


def _empty() -> HdrHistogram:
    return HdrHistogram(1, HIGHEST_US, SIGNIFICANT_DIGITS)


BUCKETS: int = _empty().counts_len


def microsecond_buckets(values_ns: Integers) -> Integers:
    """Return the bucket of each value, rounded to the microsecond; BUCKETS where there is none."""
    values_us = (values_ns + 500) // 1000
    fits = (values_us >= 0) & (values_us <= HIGHEST_US)
    if fits.all():
        return bucket_index(values_us)
    return np.where(fits, bucket_index(np.where(fits, values_us, 0)), BUCKETS)


def _upper_edges() -> Integers:
    """Return the largest value of each bucket (`get_highest_equivalent_value`)."""
    index = np.arange(BUCKETS)
    half = 1 << _HALF_MAGNITUDE
    bucket = np.maximum((index >> _HALF_MAGNITUDE) - 1, 0)
    sub_bucket = np.where(index < half, index, (index & (half - 1)) + half)
    edges: Integers = ((sub_bucket + 1) << bucket) - 1
    return edges


#: The largest value each bucket holds, in µs.
UPPER_US: Integers = _upper_edges()


class Recorder:
    """One growing histogram."""

    def __init__(self) -> None:
        self._slots = np.zeros(BUCKETS + 1, dtype=np.int64)  # the last: out of range
        self.count = 0
        self.sum_ns = 0
        self.min_ns: int | None = None
        self.max_ns: int | None = None

    def record(self, values_ns: Integers) -> Integers:
        """Add values (at least one), rounded to the microsecond; return the bucket of each.

        The bucket of a value that none can hold is `BUCKETS`, one past the last.
        """
        index = microsecond_buckets(values_ns)
        low, high = int(values_ns.min()), int(values_ns.max())
        self.count += len(values_ns)
        self.sum_ns += int(values_ns.sum())
        self.min_ns = low if self.min_ns is None else min(self.min_ns, low)
        self.max_ns = high if self.max_ns is None else max(self.max_ns, high)
        np.add.at(self._slots, index, 1)
        return index

    @property
    def counts(self) -> Integers:
        """Values by bucket index."""
        return self._slots[:BUCKETS]

    @property
    def out_of_range(self) -> int:
        """How many values no bucket could hold."""
        return int(self._slots[BUCKETS])

    def merge(self, other: Self) -> None:
        """Add everything `other` holds."""
        self._slots += other._slots
        self.count += other.count
        self.sum_ns += other.sum_ns
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
        return min(float(UPPER_US[index]), (self.max_ns or 0) / 1000)

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
            recorder._slots[int(index)] = count
        recorder.count = state["count"]
        recorder.sum_ns = state["sum_ns"]
        recorder.min_ns = state["min_ns"]
        recorder.max_ns = state["max_ns"]
        recorder._slots[BUCKETS] = state["out_of_range"]
        return recorder
