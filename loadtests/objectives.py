"""Objectives: what a run must keep, in words people use (`p99 < 20 ms`, `lost = 0`).

They come from flags or from the target profile, and are judged by the one comparator of claims.
"""

import math
import re
from collections.abc import Iterable, Mapping

from monitor.contract.claims import Claim, Comparison, judge
from monitor.contract.evidence import Metric
from monitor.contract.verdicts import ClaimVerdict, RunVerdict, UsageError

#: Short words for the figures people ask about most, and the unit each is in.
SHORT = {
    "mean": "response_mean_us",
    "p50": "response_p50_us",
    "p90": "response_p90_us",
    "p99": "response_p99_us",
    "p999": "response_p999_us",
    "p9999": "response_p9999_us",
    "max": "response_max_us",
    "lost": "deliveries_lost",
    "thinned": "deliveries_thinned",
    "duplicated": "deliveries_duplicated",
    "reordered": "deliveries_reordered",
    "refused": "clients_refused",
    "clients": "clients_held",
    "rate": "events_per_s",
    "rss": "target_rss_peak_bytes",
    "cpu": "target_cpu_percent",
    "deaths": "target_deaths",
}

#: What a number may be given in, by the unit its metric is in. MB = 10⁶ bytes.
_SCALES: dict[str, dict[str, float]] = {
    "us": {"us": 1, "µs": 1, "ms": 1e3, "s": 1e6},
    "bytes": {"bytes": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9},
    "bytes/h": {"bytes/h": 1, "kB/h": 1e3, "MB/h": 1e6, "GB/h": 1e9},
    "s": {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1},
    "percent": {"%": 1, "percent": 1},
}

_OBJECTIVE = re.compile(
    r"\s*(?P<metric>[a-z][a-z0-9_]*)\s*(?P<comparison><=|>=|==|=|<|>)"
    r"\s*(?P<bound>-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[0-9]+)?)\s*(?P<unit>[A-Za-zµ%/]*)\s*"
)


def parse(text: str, scenario: str) -> Claim:
    """Parse `METRIC COMPARISON NUMBER [UNIT]`; without a unit the number is in the metric's own.

    Raises:
        UsageError: another shape, a short word nobody knows, a unit the metric cannot be in, or a
            number too large.
    """
    match = _OBJECTIVE.fullmatch(text)
    if match is None:
        raise UsageError(
            f"objective {text!r}: expected METRIC COMPARISON NUMBER [UNIT], for example"
            " 'p99 < 20 ms', 'lost = 0' or 'rss < 100 MB'"
        )
    metric = SHORT.get(match["metric"], match["metric"])
    if "_" not in metric:  # names of metrics end with their unit
        raise UsageError(
            f"objective {text!r}: there is no figure {metric!r}; expected one of"
            f" {', '.join(SHORT)}, or a metric of `run.json` such as `connect_max_us`"
        )
    unit = unit_of(metric)
    comparison: Comparison = "==" if match["comparison"] == "=" else match["comparison"]  # type: ignore[assignment]
    bound = float(match["bound"]) * _scale(text, metric, unit, match["unit"])
    if not math.isfinite(bound):
        raise UsageError(f"objective {text!r}: {match['bound']} is more than a number can hold")
    return Claim(
        id=f"objective: {' '.join(text.split())}",
        label=f"Objective: {metric}",
        claimed=f"{comparison} {match['bound']} {match['unit']}".rstrip(),
        sentence=f"{metric} {comparison} {bound:g} {unit}",
        scenario=scenario,
        metric=metric,
        comparison=comparison,
        bound=bound,
        unit=unit,
    )


def unit_of(metric: str) -> str:
    """Return the unit a metric's name says it is in; what counts things begins with their name."""
    words = metric.split("_")
    if words[0] == "capacity":
        words = words[1:]
    if words[-2:] in (["per", "s"], ["per", "h"]):
        return f"{'bytes' if 'bytes' in words else words[0]}/{words[-1]}"
    if words[-1] in {"us", "s", "bytes", "percent", "deaths"}:
        return words[-1]
    return words[0]


def _scale(text: str, metric: str, unit: str, given: str) -> float:
    scales = {unit: 1.0, **_SCALES.get(unit, {})}
    if unit.endswith("/s"):
        scales["/s"] = 1.0
    if not given:
        return 1.0
    if given not in scales:
        raise UsageError(
            f"objective {text!r}: unit {given!r} does not fit {metric}; expected one of"
            f" {', '.join(scales)}"
        )
    return scales[given]


def kept(objectives: Iterable[Claim], metrics: Mapping[str, Metric]) -> bool:
    """Tell whether figures keep every objective; a figure that is missing keeps none."""
    judged = (judge(one, metrics, RunVerdict.VALID) for one in objectives)
    return all(one.verdict is ClaimVerdict.TRUE for one in judged)


def known(objectives: Iterable[Claim], metrics: Mapping[str, Metric]) -> bool:
    """Tell whether every figure that objectives speak of could be had."""
    return all(one.metric in metrics for one in objectives)
