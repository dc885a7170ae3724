"""Objectives: what a run must keep, in words people use (`p99 < 20 ms`, `lost = 0`).

They come from flags or from the target profile, and are judged by the one comparator of claims.
"""

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping

from loadtests.scenarios import Asked, Scenario, discover, find
from loadtests.vocabulary import figures_of, unit_of
from monitor.contract.claims import Claim, Comparison, judge, load_claims, parse_objective
from monitor.contract.evidence import Metric
from monitor.contract.target import Target
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

#: What no load may do to a target, by the metric that tells: an objective of every run, unless its
#: claims or objectives speak of that themselves. A figure of what survived would prove nothing.
SURVIVAL = {"deliveries_lost": "lost = 0", "target_deaths": "deaths = 0"}

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


def parse(
    text: str, scenario: str, figures: Mapping[str, str] | None = None, source: str = ""
) -> Claim:
    """Parse `METRIC COMPARISON NUMBER [UNIT]`; without a unit the number is in the metric's own.

    `figures` are those a run can have, with their units; without them any metric will do. `source`
    says where the text stands.

    Raises:
        UsageError: another shape, a figure the scenario never has, a unit the metric cannot be in,
            or a number too large.
    """
    said = f"objective {text!r}{source}"
    match = _OBJECTIVE.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{said}: expected METRIC COMPARISON NUMBER [UNIT], for example"
            " 'p99 < 20 ms', 'lost = 0' or 'rss < 100 MB'"
        )
    metric = SHORT.get(match["metric"], match["metric"])
    if figures is not None and metric not in figures:
        raise UsageError(f"{said}: {_unknown(match['metric'], scenario, figures)}")
    unit = unit_of(metric) if figures is None else figures[metric]
    comparison: Comparison = "==" if match["comparison"] == "=" else match["comparison"]  # type: ignore[assignment]
    bound = float(match["bound"]) * _scale(said, metric, unit, match["unit"])
    if not math.isfinite(bound):
        raise UsageError(f"{said}: {match['bound']} is more than a number can hold")
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


def _unknown(word: str, scenario: str, figures: Mapping[str, str]) -> str:
    """Say that a scenario has no such figure, which is the nearest, and which it has."""
    short = [one for one, metric in SHORT.items() if metric in figures]
    own = [name for name in find(scenario).measures if name in figures]
    said = f"no run of {scenario} has a figure {word!r}"
    elsewhere = [name for name, one in discover().items() if word in one.measures]
    of_points = [name for name in figures if name.endswith(f"_{SHORT.get(word, word)}")]
    close = of_points[-1:] or difflib.get_close_matches(word, [*short, *figures], n=1)
    if elsewhere:
        said += f", only one of {' or '.join(elsewhere)}."
    else:
        said += f"; did you mean {close[0]!r}?" if close else "."
    said += f" It has {', '.join(short)}" + (f"; of its own {', '.join(own)}" if own else "")
    return f"{said}; `wsproof explain {scenario}` names them all"


def _scale(said: str, metric: str, unit: str, given: str) -> float:
    scales = {unit: 1.0, **_SCALES.get(unit, {})}
    if unit.endswith("/s"):
        scales["/s"] = 1.0
    if not given:
        return 1.0
    if given not in scales:
        raise UsageError(
            f"{said}: unit {given!r} does not fit {metric}; expected one of {', '.join(scales)}"
        )
    return scales[given]


def objectives_of(
    scenario: type[Scenario], asked: Asked, given: Iterable[str] = ()
) -> tuple[Claim, ...]:
    """Return what a run has to keep.

    That is the scenario's own objectives, the ones given or else those of the target profile that
    are of a figure this scenario has, and that the target survives.

    Raises:
        UsageError: an objective that cannot be read; an unreadable claims document; an objective,
            or a claim of this scenario, of a figure that no run of it has.
    """
    given, target = tuple(given), asked.target
    figures = figures_of(scenario, asked)
    claims = _claims_of(scenario, target, figures)
    texts = dict.fromkeys((*scenario.proves, *given), "")
    if not given:
        profile = f" (`objectives` of target profile {target.path.name}; --objective replaces them)"
        own = (one for one in target.objectives if not _of_another(one, figures))
        texts |= {one: profile for one in own if one not in texts}
    wanted = tuple(parse(text, scenario.name(), figures, source) for text, source in texts.items())
    return (*wanted, *_survival(scenario, claims, wanted))


def _claims_of(
    scenario: type[Scenario], target: Target, figures: Mapping[str, str]
) -> tuple[Claim, ...]:
    """Return the claims that this scenario's figures decide."""
    claims = load_claims(target.claims_path) if target.claims_path else ()
    own = tuple(one for one in claims if one.scenario == scenario.name())
    for claim in own:
        for metric in _figures_in(claim):
            if metric not in figures:
                raise UsageError(
                    f"claims {target.claims_path}: claim `{claim.id}`:"
                    f" {_unknown(metric, scenario.name(), figures)}"
                )
    return own


def _figures_in(claim: Claim) -> tuple[str, ...]:
    """Return the metrics a claim speaks of."""
    conditions = (*claim.requires, *claim.given)
    return (claim.metric, *(parse_objective(text).metric for text in conditions))


def _of_another(text: str, figures: Mapping[str, str]) -> bool:
    """Tell whether an objective is of a figure that only other scenarios have.

    A profile is one for all scenarios: what one of them shows need not stop the others.
    """
    match = _OBJECTIVE.fullmatch(text)
    metric = match["metric"] if match else ""
    return metric not in figures and any(metric in one.measures for one in discover().values())


def _survival(
    scenario: type[Scenario], claims: Iterable[Claim], objectives: Iterable[Claim]
) -> Iterator[Claim]:
    """Yield what the target has to survive and neither claims nor objectives speak of.

    A search for the most goes past what can be delivered; it must not kill all the same.
    """
    spoken_of = {one.metric for one in objectives}
    for claim in claims:
        spoken_of.update(_figures_in(claim))
    if scenario.seeks:
        spoken_of.add("deliveries_lost")
    for metric, text in SURVIVAL.items():
        if metric not in spoken_of:
            yield parse(text, scenario.name())


def kept(objectives: Iterable[Claim], metrics: Mapping[str, Metric]) -> bool:
    """Tell whether figures keep every objective; a figure that is missing keeps none."""
    judged = (judge(one, metrics, RunVerdict.VALID) for one in objectives)
    return all(one.verdict is ClaimVerdict.TRUE for one in judged)


def known(objectives: Iterable[Claim], metrics: Mapping[str, Metric]) -> bool:
    """Tell whether every figure that objectives speak of could be had."""
    return all(one.metric in metrics for one in objectives)
