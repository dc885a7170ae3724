"""What the server counts, and how it is shown to Prometheus.

Counting is plain arithmetic on attributes; the text format is made only when asked for.
"""

import os
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

_PREFIX = "wsproof_"


class Durations:
    """A histogram of durations in seconds, in buckets of powers of four from 16 µs to 4 s."""

    BOUNDS = tuple(4.0**power * 1e-6 for power in range(2, 12))

    def __init__(self) -> None:
        self.counts = [0] * (len(self.BOUNDS) + 1)
        self.total_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.total_s += seconds
        self.counts[bisect_left(self.BOUNDS, seconds)] += 1

    def family(self, name: str, text: str) -> HistogramMetricFamily:
        """Return the histogram with cumulative buckets."""
        buckets, below = [], 0
        for bound, count in zip((*self.BOUNDS, float("inf")), self.counts, strict=True):
            below += count
            buckets.append(("+Inf" if bound == float("inf") else f"{bound:g}", float(below)))
        return HistogramMetricFamily(_PREFIX + name, text, buckets=buckets, sum_value=self.total_s)


class Metrics:
    """The server's counters. Plain attributes: the hot path adds to them."""

    def __init__(self) -> None:
        self.connections = 0
        self.events = 0
        self.duplicates = 0
        self.redactions = 0
        self.authentications = 0
        self.refusals: dict[str, int] = {}
        self.evictions: dict[str, int] = {}
        self.commit = Durations()
        self.flush = Durations()

    def refuse(self, reason: str, count: int = 1) -> None:
        """Count a refusal. Reasons are this server's own words: a closed set."""
        self.refusals[reason] = self.refusals.get(reason, 0) + count

    def evict(self, reason: str) -> None:
        """Count a connection the server ended."""
        self.evictions[reason] = self.evictions.get(reason, 0) + 1

    def expose(self, gauges: Mapping[str, float], totals: Mapping[str, float]) -> bytes:
        """Return the Prometheus text format, with the server's current gauges and totals."""
        registry = CollectorRegistry()
        registry.register(_Exposition(self, gauges, totals))
        return generate_latest(registry)


class _Exposition:
    def __init__(
        self, metrics: Metrics, gauges: Mapping[str, float], totals: Mapping[str, float]
    ) -> None:
        self._metrics = metrics
        self._gauges = gauges
        self._totals = totals

    def collect(self) -> Iterable[Metric]:
        """Yield every family."""
        metrics = self._metrics
        totals = {
            "connections": metrics.connections,
            "events": metrics.events,
            "duplicates": metrics.duplicates,
            "redactions": metrics.redactions,
            "authentications": metrics.authentications,
            **self._totals,
        }
        for name, value in totals.items():
            yield CounterMetricFamily(_PREFIX + name, _HELP[name], value=value)
        for name, value in self._gauges.items():
            yield GaugeMetricFamily(_PREFIX + name, _HELP[name], value=value)
        for name, counts in (("refusals", metrics.refusals), ("evictions", metrics.evictions)):
            family = CounterMetricFamily(_PREFIX + name, _HELP[name], labels=("reason",))
            for reason, count in sorted(counts.items()):
                family.add_metric((reason,), count)
            yield family
        yield metrics.commit.family("commit_seconds", "Time to commit one group of events.")
        yield metrics.flush.family("flush_seconds", "Time to move every cursor once.")


_HELP = {
    "connections": "TCP connections accepted.",
    "connections_open": "Connections open now.",
    "subscribers": "Connections with a stream now.",
    "events": "Events stored.",
    "duplicates": "Events recognised as repeats and not stored again.",
    "redactions": "Secrets replaced in event text.",
    "authentications": "Successful authentications.",
    "deliveries": "Events written to subscribers.",
    "thinned": "Events left out for subscribers that were behind, and announced.",
    "expired": "Events gone before a subscriber came to them, and announced.",
    "lag_events": "Events the subscriber furthest behind has not been sent.",
    "log_bytes": "Bytes of frames held for delivery.",
    "offset": "Offset of the newest event.",
    "rss_bytes": "Resident memory of the server.",
    "refusals": "Requests, messages and connections refused, by reason.",
    "evictions": "Connections the server ended, by reason.",
}


def rss_bytes() -> int:
    """Return this process's resident memory in bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
