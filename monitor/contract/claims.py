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
from monitor.contract.evidence import Metric
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
    a latency over the deliveries that did arrive proves nothing if others were lost.
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
        UsageError: missing file, unknown key, wrong type, doubled id or malformed requirement.
    """
    claims = convert(read_toml(path, "claims"), _ClaimsDocument, f"claims {path}").claim
    seen: set[str] = set()
    for claim in claims:
        if claim.id in seen:
            raise UsageError(f"claims {path}: id {claim.id!r} stands twice; give each its own")
        seen.add(claim.id)
        for requirement in claim.requires:
            parse_objective(requirement)
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
    FALSE; a missing metric leaves it UNPROVEN. With an interval over repeats, the claim is TRUE
    if the whole interval keeps the bound, FALSE if none of it does, UNPROVEN in between.
    """
    if run is RunVerdict.INVALID:
        return Judgement(claim, ClaimVerdict.UNPROVEN, "the run is INVALID")
    measured = metrics.get(claim.metric)
    for text in claim.requires:
        requirement = parse_objective(text)
        figure = metrics.get(requirement.metric)
        if figure is None:
            return _unproven(claim, f"no {requirement.metric} in the evidence", measured)
        if not holds(figure.value, requirement.comparison, requirement.bound):
            came = f"{requirement.metric} was {figure.value:g}"
            reason = f"{came}; the claim requires {requirement}"
            return Judgement(claim, ClaimVerdict.FALSE, reason, measured, _margin(claim, measured))
    if measured is None or math.isnan(measured.value):
        return _unproven(claim, f"no {claim.metric} in the evidence", None)
    if measured.unit != claim.unit:
        reason = f"{claim.metric} is in {measured.unit}, the claim in {claim.unit}"
        return _unproven(claim, reason, measured)
    ends = measured.interval or (measured.value, measured.value)
    kept = [holds(end, claim.comparison, claim.bound, claim.tolerance) for end in ends]
    margin = _margin(claim, measured)
    rule = f"{claim.metric} {claim.comparison} {claim.bound:g} {claim.unit}"
    if all(kept):
        return Judgement(claim, ClaimVerdict.TRUE, f"{rule} holds", measured, margin)
    if not any(kept):
        return Judgement(claim, ClaimVerdict.FALSE, f"{rule} does not hold", measured, margin)
    reason = f"the interval {ends[0]:g} to {ends[1]:g} {claim.unit} straddles the bound"
    return Judgement(claim, ClaimVerdict.UNPROVEN, reason, measured, margin)


def _unproven(claim: Claim, reason: str, measured: Metric | None) -> Judgement:
    return Judgement(claim, ClaimVerdict.UNPROVEN, reason, measured)


def _margin(claim: Claim, measured: Metric | None) -> float | None:
    if measured is None or math.isnan(measured.value):
        return None
    distance = measured.value - claim.bound
    if claim.comparison == "==":
        return claim.tolerance - abs(distance)
    return distance if claim.comparison in {">", ">="} else -distance
