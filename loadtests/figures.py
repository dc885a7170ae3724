"""The figures of a run: one metric from all repeats, by stated statistics.

A figure that cannot be had is absent, never zero. Samples are repeats and events, never
deliveries: fifty copies of one event are not fifty samples.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import msgspec
import numpy as np

from loadtests.accounting.histogram import PERCENTILES, Recorder
from loadtests.accounting.spread import FIGURES
from loadtests.results import RepeatResult
from loadtests.sampler import Sample
from loadtests.scenarios import Asked, Scenario, Seen, Values
from loadtests.validity import Calibration
from monitor.contract.evidence import Metric

#: A percentile needs this many independent events beyond it; fewer say nothing of the tail.
EVENTS_BEYOND = 10

#: Fewer repeats than this span no interval worth printing.
REPEATS_FOR_INTERVAL = 5

_RESAMPLES = 2000


class Total(NamedTuple):
    """What is summed over repeats: its unit, how one repeat counts it, and among how many.

    Where there was nothing to count among, zero is no figure.
    """

    unit: str
    count: Callable[[RepeatResult], int]
    among: Callable[[RepeatResult], int] = lambda _: 1


def _expected(result: RepeatResult) -> int:
    return result.part.expected


def _scheduled(result: RepeatResult) -> int:
    return result.passage.scheduled


TOTALS: dict[str, Total] = {
    "clients_refused": Total("clients", lambda one: one.part.refused),
    "events_scheduled": Total("events", _scheduled),
    "events_sent": Total("events", lambda one: one.passage.sent),
    "events_late": Total("events", lambda one: one.passage.late, _scheduled),
    "events_dropped": Total("events", lambda one: one.passage.dropped, _scheduled),
    "events_refused": Total("events", lambda one: one.passage.refused, _scheduled),
    "deliveries_expected": Total("deliveries", _expected),
    "deliveries_received": Total("deliveries", lambda one: one.part.received),
    "deliveries_lost": Total("deliveries", lambda one: one.part.lost, _expected),
    "deliveries_thinned": Total("deliveries", lambda one: one.part.thinned, _expected),
    "deliveries_duplicated": Total("deliveries", lambda one: one.part.duplicated, _expected),
    "deliveries_reordered": Total("deliveries", lambda one: one.part.reordered, _expected),
    # Before they were due, or after more than an hour: counted, in no bucket, never clamped.
    "deliveries_out_of_range": Total(
        "deliveries", lambda one: one.part.response.get("out_of_range", 0), _expected
    ),
}


#: What of each event's receivers is given.
FANOUT_PERCENTILES = ("p50", "p99")

#: Times from an instant that several processes know, each by its own clock.
_FROM_DUE = ("response_", "first_receiver_", "median_receiver_", "last_receiver_")


class Measured(msgspec.Struct, frozen=True):
    """What all figures are made from."""

    results: tuple[RepeatResult, ...]
    samples: tuple[Sample, ...]
    calibration: Calibration | None
    target_deaths: int
    seed: int
    scenario: type[Scenario] = Scenario
    asked: Asked | None = None

    @property
    def counted(self) -> tuple[RepeatResult, ...]:
        """The repeats figures are made of."""
        return tuple(result for result in self.results if result.counted)

    @property
    def points(self) -> dict[str, tuple[RepeatResult, ...]]:
        """Those repeats by what was offered, in the order it was first offered."""
        labels = dict.fromkeys(result.point for result in self.counted)
        return {label: tuple(one for one in self.counted if one.point == label) for label in labels}

    def own(self, result: RepeatResult) -> Values:
        """The figures of one repeat that only its scenario has."""
        if self.asked is None or not result.window_s:
            return {}
        return self.scenario.figures(Seen(self.asked, result, self.samples))


def complete_events(result: RepeatResult) -> np.ndarray:
    """Return, for each measured event, whether it reached every subscriber."""
    bits = np.unpackbits(np.frombuffer(result.part.complete, np.uint8))
    return bits[: result.passage.scheduled].astype(bool)


def _arrived(result: RepeatResult) -> int:
    """Count the measured events that reached somebody: independent samples of latency."""
    first = result.part.fanout.get("first_receiver")
    return int(first["count"]) if first else int(complete_events(result).sum())


def run_metrics(measured: Measured) -> dict[str, Metric]:
    """Return every figure that can be had of a run, by name.

    Where several points were offered, each figure is given for each point, its name after the
    point's; a latency, or a figure of the scenario's own, without a point's name is the largest.
    """
    points = {label: _point_metrics(measured, found) for label, found in measured.points.items()}
    metrics = next(iter(points.values())) if len(points) == 1 else _of_points(measured, points)
    for name, total in TOTALS.items():
        counts = [float(total.count(result)) for result in measured.counted]
        if any(counts) or (counts and all(map(total.among, measured.counted))):
            metrics[name] = Metric(sum(counts), total.unit, "total of repeats", tuple(counts))
    metrics |= _memory_metrics(measured)
    metrics["target_deaths"] = Metric(float(measured.target_deaths), "deaths", "count")
    if measured.calibration is not None:
        for name, value in measured.calibration.figures.items():
            if name.startswith("response_"):
                metrics[f"null_{name}"] = Metric(value, "us", "one calibration")
    if measured.asked is not None:
        metrics |= measured.scenario.conclude(measured.asked, measured.results)
    return metrics


#: How figures begin that decide whether a run is believed, and those of what the target used.
_OF_PROCESSES = ("receive_", "generator_", "publisher_", "target_")


def largest_is_given(name: str, unit: str) -> bool:
    """Tell of a figure every scenario has whether, of several points, the largest is given."""
    return unit == "us" or name.startswith(_OF_PROCESSES)


def _of_points(measured: Measured, points: Mapping[str, Mapping[str, Metric]]) -> dict[str, Metric]:
    """Name the figures of several points by point.

    The largest of latencies, of what generator and target used, and of their own are given, too.
    """
    own = {name for result in measured.counted for name in measured.own(result)}
    metrics: dict[str, Metric] = {}
    for label, found in points.items():
        metrics |= {f"{label}_{name}": metric for name, metric in found.items()}
        for name, metric in found.items():
            if not largest_is_given(name, metric.unit) and name not in own:
                continue
            if name not in metrics or metrics[name].value < metric.value:
                metrics[name] = Metric(
                    metric.value, metric.unit, "largest of points", samples=metric.samples
                )
    return metrics


def _point_metrics(measured: Measured, found: Sequence[RepeatResult]) -> dict[str, Metric]:
    """Return the figures of the repeats of one point, those that are medians of repeats."""
    results = [result for result in found if result.window_s]
    per_repeat = [
        repeat_values(result, measured.samples) | measured.own(result) for result in results
    ]
    metrics: dict[str, Metric] = {}
    for name, unit in _units(per_repeat).items():
        values = [found[name][0] for found in per_repeat if name in found]
        if len(values) == len(per_repeat):
            metrics[name] = _pooled(name, unit, values, measured)
    return metrics | _latency_metrics(results, metrics)


def repeat_metrics(
    result: RepeatResult, samples: Sequence[Sample], own: Values | None = None
) -> dict[str, Metric]:
    """Return the figures of one repeat, with those of its scenario."""
    values = repeat_values(result, samples) | (own or {}) if result.window_s else {}
    metrics = {name: Metric(value, unit, "one repeat") for name, (value, unit) in values.items()}
    for name, total in TOTALS.items():
        metrics[name] = Metric(float(total.count(result)), total.unit, "one repeat")
    return metrics


def repeat_values(result: RepeatResult, samples: Sequence[Sample]) -> dict[str, tuple[float, str]]:
    """Return one repeat's figures that are not totals, with their units."""
    passage, part, window_s = result.passage, result.part, result.window_s
    values: dict[str, tuple[float | None, str]] = {
        "clients_held": (part.held, "clients"),
        "clients_offered": (part.offered, "clients"),
        "events_offered_per_s": (passage.scheduled / window_s, "events/s"),
        "events_per_s": (int(complete_events(result).sum()) / window_s, "events/s"),
        "deliveries_per_s": (part.received / window_s, "deliveries/s"),
        "send_lag_p99_us": (passage.lag_p99_us, "us"),
        "send_lag_max_us": (passage.lag_max_us, "us"),
        "generator_cpu_percent": (part.cpu_percent, "percent"),
        "publisher_cpu_percent": (result.publisher_cpu_percent, "percent"),
    }
    for kind in ("response", "service"):
        recorder = Recorder.restore(getattr(part, kind))
        values[f"{kind}_mean_us"] = (recorder.mean_us, "us")
        values[f"{kind}_max_us"] = (recorder.max_us, "us")
        for name, percent in PERCENTILES.items():
            if enough(percent, _arrived(result)):
                values[f"{kind}_{name}_us"] = (recorder.percentile_us(percent), "us")
    for name in FIGURES:
        if name in result.part.fanout:
            recorder = Recorder.restore(result.part.fanout[name])
            for short in FANOUT_PERCENTILES:
                if recorder.count and enough(PERCENTILES[short], recorder.count):
                    value = recorder.percentile_us(PERCENTILES[short])
                    values[f"{name}_{short}_us"] = (value, "us")
    if result.part.expected:
        reached = 100 * result.part.received / result.part.expected
        values["reach_percent"] = (reached, "percent")
    if part.loop_lag.get("count"):
        lag = Recorder.restore(part.loop_lag)
        values["receive_lag_mean_us"] = (lag.mean_us, "us")
        values["receive_lag_max_us"] = (lag.max_us, "us")
        if enough(99, lag.count):
            values["receive_lag_p99_us"] = (lag.percentile_us(99), "us")
            values["receive_unread_p99_bytes"] = (part.unread_p99_bytes, "bytes")
    values["receive_unread_max_bytes"] = (part.unread_max_bytes, "bytes")
    values["receive_queue_fill_max_percent"] = (part.queue_fill_max_percent, "percent")
    if result.host is not None:
        values["host_busy_percent"] = (result.host.busy_percent, "percent")
        values["host_others_percent"] = (result.host.others_percent, "percent")
    if result.clock_bound_us:
        values["clock_bound_us"] = (result.clock_bound_us, "us")
    if result.part.moves_lag_p99_us is not None:
        values["moves_lag_p99_us"] = (result.part.moves_lag_p99_us, "us")
    window = _in_window(result, samples)
    cpu = [sample.cpu_percent for sample in window if sample.cpu_percent is not None]
    values["target_cpu_percent"] = (sum(cpu) / len(cpu) if cpu else None, "percent")
    rss = [sample.rss_bytes for sample in window]
    values["target_rss_median_bytes"] = (median(rss) if rss else None, "bytes")
    values["target_rss_peak_bytes"] = (max(rss, default=None), "bytes")
    known = {
        name: (float(value), unit) for name, (value, unit) in values.items() if value is not None
    }
    for name in below_clock_bound(result, known):
        del known[name]
    return known


def below_clock_bound(result: RepeatResult, values: Values) -> list[str]:
    """Return which times say nothing, because clocks of several hosts were compared.

    A spread is between two of them: each may be as far off, either way.
    """
    bounds_us = dict.fromkeys(_FROM_DUE, result.clock_bound_us)
    bounds_us["spread_"] = 2 * result.clock_bound_us
    return [
        name
        for name, (value, unit) in values.items()
        if unit == "us" and any(name.startswith(a) and value < b for a, b in bounds_us.items())
    ]


def null_figures(result: RepeatResult) -> dict[str, float]:
    """Return the null server's latencies in µs by metric, the maximum left out."""
    return {
        name: value
        for name, (value, unit) in repeat_values(result, ()).items()
        if unit == "us"
        and name.startswith(("response_", "service_"))
        and not name.endswith("_max_us")
    }


def merged(results: Sequence[RepeatResult], kind: str) -> Recorder:
    """Return the histogram of all repeats together; `kind` is response or service."""
    whole = Recorder()
    for result in results:
        whole.merge(Recorder.restore(getattr(result.part, kind)))
    return whole


def events_needed(percent: float) -> int:
    """Return how many independent events it takes to say something about a percentile."""
    # The small allowance keeps 10,000 events enough for p99.9 in floating point.
    return math.ceil(EVENTS_BEYOND * 100 / (100 - percent) - 1e-6)


def enough(percent: float, events: int) -> bool:
    """Tell whether so many independent events say something about a percentile."""
    return events >= events_needed(percent)


def _units(per_repeat: Sequence[Mapping[str, tuple[float, str]]]) -> dict[str, str]:
    return {name: unit for found in per_repeat for name, (_, unit) in found.items()}


def _pooled(name: str, unit: str, values: Sequence[float], measured: Measured) -> Metric:
    if name == "clients_held":
        return Metric(min(values), unit, "minimum of repeats", tuple(values))
    if name.endswith(("_max_us", "_max_bytes", "_max_percent")):
        return Metric(max(values), unit, "maximum of repeats", tuple(values))
    return Metric(
        float(median(values)),
        unit,
        repeats=tuple(values),
        interval=_interval(values, measured.seed),
        samples=len(values),
    )


def _interval(values: Sequence[float], seed: int) -> tuple[float, float] | None:
    """Bootstrap percentile interval, 95 %, of the median over repeats."""
    if len(values) < REPEATS_FOR_INTERVAL:
        return None
    draws = np.random.default_rng(seed).choice(values, (_RESAMPLES, len(values)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return float(low), float(high)


def _latency_metrics(
    results: Sequence[RepeatResult], known: Mapping[str, Metric]
) -> dict[str, Metric]:
    """Say how many events stand behind each latency; merge repeats where one is too short."""
    events = sum(map(_arrived, results))
    found: dict[str, Metric] = {}
    for kind in ("response", "service"):
        for name in ("mean", "max", *PERCENTILES):
            key = f"{kind}_{name}_us"
            if key in known:
                found[key] = msgspec.structs.replace(known[key], samples=events)
            elif name in PERCENTILES and enough(PERCENTILES[name], events):
                value = merged(results, kind).percentile_us(PERCENTILES[name])
                bound_us = max(result.clock_bound_us for result in results)
                if value is not None and (kind == "service" or value >= bound_us):
                    found[key] = Metric(value, "us", "all repeats merged", samples=events)
    return found


def _memory_metrics(measured: Measured) -> dict[str, Metric]:
    """Peaks over everything sampled, from the target's start to its end."""
    found: dict[str, Metric] = {}
    for role in ("target", "generator"):
        rss = [sample.rss_bytes for sample in measured.samples if sample.role == role]
        if rss:
            peak = float(max(rss))
            found[f"{role}_rss_peak_bytes"] = Metric(peak, "bytes", "peak from start to end")
    return found


def _in_window(result: RepeatResult, samples: Sequence[Sample]) -> list[Sample]:
    low = result.window_start_ns
    high = low + int(result.window_s * 1e9)
    return [one for one in samples if one.role == "target" and low <= one.at_ns <= high]
