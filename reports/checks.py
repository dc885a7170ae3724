"""Claims that security checks carry: counts the checks' verdicts, for the one comparator.

TRUE needs every carrying check to PASS; one FAIL makes the claim FALSE; whatever did not run,
could not decide, was declined or waived leaves it UNPROVEN. So does a check the claim names by its
id and the audit does not know: the gate that made it was a smaller one.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

import msgspec

from monitor.contract.claims import Claim
from monitor.contract.evidence import FINDINGS, Metric, Run, RunRecord
from monitor.contract.findings import Finding
from monitor.contract.tables import Scalar
from monitor.contract.verdicts import Verdict

#: A check named by itself, neither a pattern nor the name of a claim.
_ID = re.compile(r"[A-Z]+\d+")

#: Checks that are named of those an audit does not know.
_NAMED = 3


def findings(run: Run) -> tuple[Finding, ...]:
    """Return the run's findings by check, none if it has no such file."""
    if FINDINGS not in run.record.files:
        return ()
    return tuple(msgspec.convert(line, Finding) for line in run.lines(FINDINGS))


def carrying(claim: Claim, run: Run) -> Iterator[Finding]:
    """Yield the findings of the checks that carry a claim."""
    for finding in findings(run):
        names = (finding.id, finding.claim or "")
        if any(fnmatchcase(name, pattern) for pattern in claim.checks for name in names):
            yield finding


def is_evidence(claim: Claim, record: RunRecord) -> bool:
    """Tell whether a run is an audit that may decide a claim on checks.

    An audit of chosen checks only is none: the checks left out might have failed.
    """
    if record.kind != "audit" or FINDINGS not in record.files:
        return False
    if _set(record.parameters.get("only")):
        return False
    return not claim.real_time or _set(record.parameters.get("real_time"))


def check_metrics(claim: Claim, run: Run) -> dict[str, Metric]:
    """Count the verdicts of the checks that carry a claim."""
    verdicts = [finding.verdict for finding in carrying(claim, run)]
    verdicts += [Verdict.NOT_RUN] * len(_absent(claim, run))
    failed = verdicts.count(Verdict.FAIL)
    passed = verdicts.count(Verdict.PASS)
    counts = {
        "checks_carrying": len(verdicts),
        "checks_passed": passed,
        "checks_failed": failed,
        "checks_undecided": len(verdicts) - passed - failed,
    }
    return {name: Metric(float(count), "checks", "count") for name, count in counts.items()}


def comparable(claim: Claim, metrics: Mapping[str, Metric]) -> Claim:
    """Return a claim on checks as one on their counts, which the comparator can judge."""
    return msgspec.structs.replace(
        claim,
        metric="checks_passed",
        comparison=">=",
        bound=metrics["checks_carrying"].value,
        unit="checks",
        requires=("checks_failed == 0",),
        given=("checks_carrying >= 1", "checks_undecided == 0"),
    )


def why_not(claim: Claim, run: Run) -> str:
    """Name the checks that did not pass, with their verdicts; or say that none carries it."""
    found = tuple(carrying(claim, run))
    absent = _absent(claim, run)
    if not found and not absent:
        return "no check of the audit carries it"
    order = (Verdict.FAIL, *(word for word in Verdict if word is not Verdict.FAIL))
    others = sorted(
        (one for one in found if one.verdict is not Verdict.PASS),
        key=lambda one: (order.index(one.verdict), one.id),
    )
    told = [f"{one.id} is {one.verdict}" for one in others]
    return ", ".join([*told, *_told_absent(absent)])


def _absent(claim: Claim, run: Run) -> tuple[str, ...]:
    """Return the checks a claim names one by one of which the audit says nothing."""
    known = {finding.id for finding in findings(run)}
    named = (name for name in claim.checks if _ID.fullmatch(name))
    return tuple(name for name in named if name not in known)


def _told_absent(absent: Sequence[str]) -> list[str]:
    """Name one or a few checks that are not in the audit, and count the others."""
    if not absent:
        return []
    if len(absent) == 1:
        return [f"{absent[0]} is not in the audit"]
    named, others = absent[:_NAMED], len(absent) - _NAMED
    more = f" and {others} more" if others > 0 else ""
    return [f"{', '.join(named)}{more} are not in the audit"]


def _set(parameter: Scalar) -> bool:
    return parameter not in {None, "", "false", False}
