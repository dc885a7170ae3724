"""Claims: sentences about a service that a number can confirm or refute.

Holds the one comparator. A claim is judged anew from evidence each time; nothing stores its
verdict.
"""

import math
import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Literal

import msgspec

from monitor.contract.documents import convert, read_toml
from monitor.contract.evidence import MEDIAN, Metric
from monitor.contract.lines import line_of
from monitor.contract.verdicts import ClaimVerdict, ExitCode, RunVerdict, UsageError

Comparison = Literal["<", "<=", "==", ">=", ">"]

_OBJECTIVE = re.compile(
    r"\s*(?P<metric>[a-z][a-z0-9_]*)\s*(?P<comparison><=|>=|==|=|<|>)\s*(?P<bound>-?[0-9.]+)\s*"
)

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


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
    """One sentence, what decides it, and where it stands.

    Decided by one of three: a `metric` of a `scenario` with its `bound`; the security `checks`
    that carry it; or nothing (`unmeasured` says why), which leaves it UNPROVEN.

    `bound`, `tolerance` and the metric are all in `unit`. `tolerance` widens the bound in the
    claim's favour and must be stated where it is used. Each of `requires` must hold as well:
    a latency over the deliveries that did arrive proves nothing if others were lost. Each of
    `given` states the load the sentence speaks of: a run that offered less can refute the claim
    by breaking a requirement, but neither its figure nor its ease proves anything.

    Each of `checks` is a check's id, the name of a claim that checks say they carry, or a
    pattern of either (`RL*`). `real_time` asks for evidence at the promised durations: windows
    that were shortened do not prove a figure "per minute".

    `group` is the table or list of a document the claim belongs to; `section` the heading its
    `sentence` stands under.
    """

    id: str
    label: str
    claimed: str
    sentence: str
    scenario: str = ""
    metric: str = ""
    comparison: Comparison = "=="
    bound: float = 0.0
    unit: str = ""
    tolerance: float = 0.0
    requires: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    real_time: bool = False
    unmeasured: str = ""
    group: str = "load"
    section: str = ""


class Judgement(msgspec.Struct, frozen=True):
    """What the evidence says of one claim: the figure, its distance from the bound, and why.

    `margin` is in the claim's unit, positive when the claim holds with room to spare.
    """

    claim: Claim
    verdict: ClaimVerdict
    reason: str
    measured: Metric | None = None
    margin: float | None = None


class ClaimsDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A claims file: its claims, and the document their sentences stand in, beside the file."""

    format: Literal[1]
    claim: tuple[Claim, ...]
    document: str | None = None


#: What a claim decided by a metric cannot do without.
_MEASURED_BY = ("scenario", "metric", "comparison", "bound", "unit")


def load_claims(path: Path) -> tuple[Claim, ...]:
    """Load the claims of a claims document; see `load_claims_document`."""
    return load_claims_document(path).claim


def load_claims_document(path: Path) -> ClaimsDocument:
    """Load a claims document.

    Raises:
        UsageError: missing file, unknown key, wrong type, doubled id, malformed condition, or a
            claim that nothing or too much decides; names the line where there is one.
    """
    table = read_toml(path, "claims")
    source = f"claims {path}"
    try:
        document = convert(table, ClaimsDocument, source)
    except UsageError as error:
        raise UsageError(_with_line(path, str(error))) from error
    seen: set[str] = set()
    for number, (claim, given) in enumerate(zip(document.claim, table["claim"], strict=True)):
        problem = _problem(claim, given.keys())
        if claim.id in seen:
            problem = "id", "stands twice; give each claim its own"
        if problem is not None:
            key, says = problem
            line = line_of(path.read_text(encoding="utf-8"), "claim", number, key)
            raise UsageError(f"{source}: line {line}: claim {claim.id!r}: {says}")
        seen.add(claim.id)
    return document


def fault(claim: Claim) -> str | None:
    """Return why a claims file with this claim would not be loaded, or None."""
    problem = _problem(claim, frozenset(_MEASURED_BY))
    return None if problem is None else problem[1]


def _problem(claim: Claim, given: AbstractSet[str]) -> tuple[str, str] | None:
    """Return the key at fault and what is wrong with a claim, or None."""
    worded = _wording_problem(claim) or _number_problem(claim)
    if worded is not None:
        return worded
    deciders = [name for name in ("metric", "checks", "unmeasured") if getattr(claim, name)]
    if len(deciders) != 1:
        came = " and ".join(f"`{name}`" for name in deciders) or "none of them"
        return "id", f"expected one of `metric`, `checks`, `unmeasured`, got {came}"
    if claim.metric:
        missing = [name for name in _MEASURED_BY if name not in given]
        if missing:
            return "metric", f"`metric` needs `{missing[0]}` as well"
    for key in ("requires", "given"):
        for condition in getattr(claim, key):
            try:
                parse_objective(condition)
            except UsageError as error:
                return key, str(error)
    return None


def _wording_problem(claim: Claim) -> tuple[str, str] | None:
    if not _ID.fullmatch(claim.id):
        return "id", "expected an id of letters, digits, dots, dashes and underscores"
    for key in ("label", "claimed", "sentence"):
        if not getattr(claim, key).strip():
            return key, f"`{key}` is empty; it must say something"
    return None


def _number_problem(claim: Claim) -> tuple[str, str] | None:
    if not math.isfinite(claim.bound):
        return "bound", f"`bound` is {claim.bound}; expected a number that can be reached"
    if not (math.isfinite(claim.tolerance) and claim.tolerance >= 0):
        return "tolerance", f"`tolerance` is {claim.tolerance}; expected a number from 0"
    return None


def _with_line(path: Path, message: str) -> str:
    """Add the line of the key that a message names as `claim[N].KEY`, or as `KEY` alone."""
    text = path.read_text(encoding="utf-8")
    named = re.search(r"`claim\[(?P<number>\d+)\](?:\.(?P<key>\w+))?", message)
    alone = re.search(r"key `(?P<key>\w+)`", message)
    if named is not None:
        line = line_of(text, "claim", int(named["number"]), named["key"] or "id")
    elif alone is not None:
        line = line_of(text, "claim", None, alone["key"])
    else:
        return message
    return message.replace(f"claims {path}:", f"claims {path}: line {line}:", 1)


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
    if claim.comparison == "==":
        return claim.tolerance - abs(measured.value - claim.bound)
    if claim.comparison in {">", ">="}:
        return measured.value - claim.bound
    return claim.bound - measured.value


def conclusion(judgements: Iterable[Judgement]) -> ExitCode:
    """Return what a command ends with: a FALSE claim outweighs all, no evidence is no success."""
    verdicts = {judgement.verdict for judgement in judgements}
    if ClaimVerdict.FALSE in verdicts:
        return ExitCode.BROKEN
    return ExitCode.HOLDS if verdicts == {ClaimVerdict.TRUE} else ExitCode.NO_VERDICT
