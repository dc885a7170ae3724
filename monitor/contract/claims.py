"""Claims: sentences about a service that a number can confirm or refute.

Holds the one comparator. A claim is judged anew from evidence each time; nothing stores its
verdict.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from monitor.contract.documents import convert, read_toml
from monitor.contract.evidence import MEDIAN, Metric
from monitor.contract.verdicts import ClaimVerdict, RunVerdict, UsageError

Comparison = Literal["<", "<=", "==", ">=", ">"]

_OBJECTIVE = re.compile(
    r"\s*(?P<metric>[a-z][a-z0-9_]*)\s*(?P<comparison><=|>=|==|=|<|>)\s*(?P<bound>-?[0-9.]+)\s*"
)


class Objective(msgspec.Struct, frozen=True):
    """A condition on one metric, in that metric's own unit: `deliveries_lost == 0`."""

    metric: str
    comparison: Comparison
    bound: float

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {self.bound:g}"


def parse_objective(text: str) -> Objective:
    """Parse `METRIC COMPARISON BOUND`; `=` means `==`.

    Raises:
        UsageError: the text has another shape.
    """
    match = _OBJECTIVE.fullmatch(text)
    try:
        assert match is not None  # noqa: S101 - caught below: one message for every wrong shape
        bound = float(match["bound"])
    except (AssertionError, ValueError):
        raise UsageError(
            f"objective {text!r}: expected METRIC COMPARISON NUMBER, for example"
            " `latency_mean_us < 5000`"
        ) from None
    comparison = match["comparison"]
    return Objective(match["metric"], "==" if comparison == "=" else comparison, bound)  # type: ignore[arg-type]


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sentence, the metric that decides it, and the bound it must keep.

    `bound`, `tolerance` and the metric are all in `unit`. `tolerance` widens the bound in the
    claim's favour and must be stated where it is used. Each of `requires` must hold as well:
    a latency over the deliveries that did arrive proves nothing if others were lost. Each of
    `given` states the load the sentence speaks of: a run that offered less can refute the claim
    by breaking a requirement, but neither its figure nor its ease proves anything.
    """

    id: str
    label: str
    claimed: str
    sentence: str
    scenario: str
    metric: str
    comparison: Comparison
    bound: float
    unit: str
    tolerance: float = 0.0
    requires: tuple[str, ...] = ()
    given: tuple[str, ...] = ()


class Judgement(msgspec.Struct, frozen=True):
    """What the evidence says of one claim: the figure, its distance from the bound, and why.

    `margin` is in the claim's unit, positive when the claim holds with room to spare.
    """

    claim: Claim
    verdict: ClaimVerdict
    reason: str
    measured: Metric | None = None
    margin: float | None = None


class _ClaimsDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: Literal[1]
    claim: tuple[Claim, ...]


def load_claims(path: Path) -> tuple[Claim, ...]:
    """Load a claims document.

    Raises:
        UsageError: missing file, unknown key, wrong type, doubled id or malformed condition.
    """
    claims = convert(read_toml(path, "claims"), _ClaimsDocument, f"claims {path}").claim
    seen: set[str] = set()
    for claim in claims:
        if claim.id in seen:
            raise UsageError(f"claims {path}: id {claim.id!r} stands twice; give each its own")
        seen.add(claim.id)
        for condition in (*claim.requires, *claim.given):
            try:
                parse_objective(condition)
            except UsageError as error:
                raise UsageError(f"claims {path}: claim {claim.id!r}: {error}") from None
    return claims


def holds(value: float, comparison: Comparison, bound: float, tolerance: float = 0.0) -> bool:
    """Compare `value` with `bound`; `tolerance` (same unit) is given in the value's favour."""
    if math.isnan(value):
        return False
    match comparison:
        case "<":
            return value < bound + tolerance
        case "<=":
            return value <= bound + tolerance
        case ">":
            return value > bound - tolerance
        case ">=":
            return value >= bound - tolerance
        case "==":
            return abs(value - bound) <= tolerance


def judge(claim: Claim, metrics: Mapping[str, Metric], run: RunVerdict) -> Judgement:
    """Judge one claim from one run's metrics.

    An INVALID run proves nothing, either way. Otherwise a broken requirement makes the claim
    FALSE; a missing metric, or a load below what is `given`, leaves it UNPROVEN. With an interval
    over repeats, the claim is TRUE if the whole interval keeps the bound, FALSE if none of it
    does, UNPROVEN in between.
    """
    measured = metrics.get(claim.metric)
    if run is RunVerdict.INVALID:
        return _unproven(claim, "the run is INVALID", measured)
    broken = _unmet(claim.requires, metrics)
    for condition, figure in broken:
        if figure is not None:
            reason = f"{condition.metric} was {figure.value:g}; the claim requires {condition}"
            return Judgement(claim, ClaimVerdict.FALSE, reason, measured, _margin(claim, measured))
    for condition, figure in (*broken, *_unmet(claim.given, metrics)):
        if figure is None:
            return _unproven(claim, f"no {condition.metric} in the evidence", measured)
        reason = f"{condition.metric} was {figure.value:g}; the claim speaks of {condition}"
        return _unproven(claim, reason, measured)
    if measured is None or math.isnan(measured.value):
        return _unproven(claim, f"no {claim.metric} in the evidence", None)
    if measured.unit != claim.unit:
        reason = f"{claim.metric} is in {measured.unit}, the claim in {claim.unit}"
        return _unproven(claim, reason, measured)
    return _compare(claim, measured)


def _unmet(
    conditions: tuple[str, ...], metrics: Mapping[str, Metric]
) -> tuple[tuple[Objective, Metric | None], ...]:
    """Return the conditions that do not hold, each with its figure; None where it is missing."""
    parsed = tuple(map(parse_objective, conditions))
    found = tuple((condition, metrics.get(condition.metric)) for condition in parsed)
    return tuple(
        (condition, figure)
        for condition, figure in found
        if figure is None or not holds(figure.value, condition.comparison, condition.bound)
    )


def _compare(claim: Claim, measured: Metric) -> Judgement:
    ends = measured.interval or _span(measured)
    kept = [holds(end, claim.comparison, claim.bound, claim.tolerance) for end in ends]
    margin = _margin(claim, measured)
    rule = f"{claim.metric} {claim.comparison} {claim.bound:g} {claim.unit}"
    if all(kept):
        return Judgement(claim, ClaimVerdict.TRUE, f"{rule} holds", measured, margin)
    if not any(kept):
        reason = f"{rule} does not hold: it was {measured.value:g}"
        return Judgement(claim, ClaimVerdict.FALSE, reason, measured, margin)
    spread = "interval" if measured.interval else "repeats"
    reason = f"the {spread} from {ends[0]:g} to {ends[1]:g} {claim.unit} straddles the bound"
    return Judgement(claim, ClaimVerdict.UNPROVEN, reason, measured, margin)


def _span(measured: Metric) -> tuple[float, float]:
    """Return the least and the greatest repeat, which too few repeats for an interval stand by.

    A figure that is no median (a peak, a total) stands by itself.
    """
    if measured.statistic != MEDIAN:
        return measured.value, measured.value
    values = (*measured.repeats, measured.value)
    return min(values), max(values)


def _unproven(claim: Claim, reason: str, measured: Metric | None) -> Judgement:
    return Judgement(claim, ClaimVerdict.UNPROVEN, reason, measured)


def _margin(claim: Claim, measured: Metric | None) -> float | None:
    if measured is None or math.isnan(measured.value):
        return None
    distance = measured.value - claim.bound
    if claim.comparison == "==":
        return claim.tolerance - abs(distance)
    return distance if claim.comparison in {">", ">="} else -distance
