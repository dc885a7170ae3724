"""Tells Locust's own statistics what was delivered: a summary each tick, nothing per message."""

import time

import numpy as np
from locust.stats import RequestStats, StatsEntry

from loadtests.accounting.histogram import UPPER_US, Integers
from loadtests.accounting.latencies import Latencies

_METHOD, _NAME = "WS", "delivery"


class Tally:
    """Adds to Locust's statistics whatever is new in the response times since the last tick."""

    def __init__(self, stats: RequestStats) -> None:
        self._stats = stats
        self._counts: Integers | None = None
        self._sum_ns = 0

    def update(self, latencies: Latencies) -> None:
        """Bring Locust's statistics up to what `latencies` holds."""
        counts = latencies.response.counts
        before = np.zeros_like(counts) if self._counts is None else self._counts
        new = counts - before
        sum_ms = (latencies.response.sum_ns - self._sum_ns) / 1e6
        self._counts, self._sum_ns = counts.copy(), latencies.response.sum_ns
        filled = np.flatnonzero(new)
        times = dict(zip((UPPER_US[filled] / 1000).tolist(), new[filled].tolist(), strict=True))
        if times:
            for entry in (self._stats.get(_NAME, _METHOD), self._stats.total):
                _add(entry, times, sum_ms)


def _add(entry: StatsEntry, times_ms: dict[float, int], sum_ms: float) -> None:
    now = time.time()
    count = sum(times_ms.values())
    entry.num_requests += count
    entry.num_reqs_per_sec[int(now)] += count
    entry.last_request_timestamp = now
    # Locust declares whole milliseconds; it sorts and sums fractions just as well.
    entry.total_response_time += sum_ms  # type: ignore[assignment]
    low, high = min(times_ms), max(times_ms)
    known = entry.min_response_time
    entry.min_response_time = low if known is None else min(known, low)  # type: ignore[assignment]
    entry.max_response_time = max(entry.max_response_time, high)  # type: ignore[assignment]
    for time_ms, number in times_ms.items():
        entry.response_times[time_ms] += number  # type: ignore[index]
