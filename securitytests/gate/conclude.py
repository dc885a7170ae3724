"""From what happened to a verdict: the rules of the gate. Pure."""

from collections.abc import Iterable, Sequence
from datetime import date
from fnmatch import fnmatchcase

import msgspec

from monitor.contract.findings import Finding, Observation
from monitor.contract.promises import Waiver
from monitor.contract.verdicts import ExitCode, UsageError, Verdict
from securitytests.check import Check


class Course(msgspec.Struct, frozen=True):
    """How one check went. Empty texts mean that nothing of the kind happened.

    `before` and `after` say why a legitimate client was not served then; `died` that the service
    ended during the check; `problem` what kept the check from its end; `inapplicable` why there
    was nothing to check.
    """

    observations: tuple[Observation, ...] = ()
    before: str = ""
    after: str = ""
    died: str = ""
    problem: str = ""
    inapplicable: str = ""


class Conclusion(msgspec.Struct, frozen=True):
    """A verdict, its reason, and the observation that decided, if one did."""

    verdict: Verdict
    reason: str
    deciding: Observation | None = None
    waiver: str = ""


def conclude(
    check: Check, course: Course, waivers: Sequence[Waiver] = (), today: date = date.max
) -> Conclusion:
    """Conclude from the course of a check; no data never passes.

    A waiver turns FAIL into WAIVED through its last day; afterwards the check fails for having
    an expired waiver, whatever it found, until the waiver is renewed or removed.
    """
    conclusion = _unwaived(check, course)
    waiver = next((one for one in waivers if fnmatchcase(check.id, one.check)), None)
    if waiver is None:
        return conclusion
    words = f"{waiver.owner}, until {waiver.expires}: {waiver.reason}"
    if waiver.expired(today):
        reason = f"its waiver expired on {waiver.expires} ({waiver.owner}); renew or remove it"
        return Conclusion(Verdict.FAIL, reason, conclusion.deciding)
    if conclusion.verdict is not Verdict.FAIL:
        return conclusion
    return Conclusion(Verdict.WAIVED, conclusion.reason, conclusion.deciding, words)


def _unwaived(check: Check, course: Course) -> Conclusion:
    if course.before:
        reason = f"a legitimate client was not served before the check: {course.before}"
        return Conclusion(Verdict.INCONCLUSIVE, reason)
    if course.died:
        return Conclusion(Verdict.FAIL, course.died)
    if course.after:
        reason = f"a legitimate client was served before the check and not after: {course.after}"
        return Conclusion(Verdict.FAIL, reason)
    failed = _first(course.observations, Verdict.FAIL)
    if failed is not None:
        return Conclusion(Verdict.FAIL, _sentence(failed), failed)
    if course.problem:
        return Conclusion(Verdict.INCONCLUSIVE, course.problem)
    if course.inapplicable:
        if check.claim is None:
            return Conclusion(Verdict.NOT_APPLICABLE, course.inapplicable)
        reason = f"{course.inapplicable}; a check of a claim must be declined in the profile"
        return Conclusion(Verdict.INCONCLUSIVE, reason)
    undecided = _first(course.observations, Verdict.INCONCLUSIVE)
    if undecided is not None:
        return Conclusion(Verdict.INCONCLUSIVE, _sentence(undecided), undecided)
    if not course.observations:
        return Conclusion(Verdict.INCONCLUSIVE, "the check observed nothing")
    count = len(course.observations)
    return Conclusion(Verdict.PASS, f"{count} observations", course.observations[-1])


def _first(observations: Iterable[Observation], verdict: Verdict) -> Observation | None:
    return next((one for one in observations if one.verdict is verdict), None)


def _sentence(observation: Observation) -> str:
    variant = f"{observation.variant}: " if observation.variant else ""
    return f"{variant}expected {observation.expected}; got {observation.actual}"


def declined(check: Check, reasons: dict[str, str]) -> str | None:
    """Return why the profile declines a check, or None.

    By the id of the check or of its claim, globs allowed; a baseline carries no promise and
    cannot be declined.
    """
    if check.claim is None:
        return None
    for pattern, reason in reasons.items():
        if fnmatchcase(check.id, pattern) or pattern == check.claim:
            return reason
    return None


def require_known(checks: Iterable[Check], declines: Iterable[str], waived: Iterable[str]) -> None:
    """See that everything the profile declines or waives exists.

    Raises:
        UsageError: a name matches no check and no claim.
    """
    every = tuple(checks)
    for key, names in (("declined", declines), ("waivers", waived)):
        for name in names:
            known = any(fnmatchcase(one.id, name) or name == one.claim for one in every)
            if not known:
                raise UsageError(
                    f"target profile: key `{key}`: {name!r} matches no check and no claim;"
                    " `wsproof audit --list` shows them"
                )


def exit_code(findings: Iterable[Finding], expected: Iterable[str]) -> ExitCode:
    """Return the gate's exit code. `expected` are the ids of the checks that had to run.

    FAIL is 1. INCONCLUSIVE, an expected check that did not run, and nothing that passed or was
    waived are 3. FAIL and INCONCLUSIVE of a check that is not gating count for neither.
    """
    found = tuple(findings)
    verdicts = {finding.id: finding.verdict for finding in found}
    if any(finding.verdict is Verdict.FAIL and finding.gating for finding in found):
        return ExitCode.BROKEN
    only_told = {finding.id for finding in found if not finding.gating}
    for name in expected:
        verdict = verdicts.get(name, Verdict.NOT_RUN)
        undecided = verdict is Verdict.INCONCLUSIVE and name not in only_told
        if undecided or verdict is Verdict.NOT_RUN:
            return ExitCode.NO_VERDICT
    if not {Verdict.PASS, Verdict.WAIVED} & set(verdicts.values()):
        return ExitCode.NO_VERDICT
    return ExitCode.HOLDS
