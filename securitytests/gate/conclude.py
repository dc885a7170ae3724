"""From what happened to a verdict: the rules of the gate. Pure."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from fnmatch import fnmatchcase

import msgspec

from monitor.contract.findings import Finding, Observation
from monitor.contract.promises import Waiver
from monitor.contract.verdicts import ExitCode, UsageError, Verdict
from securitytests.check import Check

#: Declined are checks by their ids, or some of a category: no pattern that takes them all.
_OF_A_CATEGORY = re.compile(r"[A-Z]{2}[0-9*?]+")


class Course(msgspec.Struct, frozen=True):
    """How one check went. Empty texts mean that nothing of the kind happened.

    `before` and `after` say why a legitimate client was not served then; `died` that the service
    ended during the check; `problem` what kept the check from its end; `inapplicable` why there
    was nothing to check; `stalled` that the audit itself stood still for too long meanwhile;
    `untried` what could not be tried, and is told with a PASS.
    """

    observations: tuple[Observation, ...] = ()
    before: str = ""
    after: str = ""
    died: str = ""
    problem: str = ""
    inapplicable: str = ""
    stalled: str = ""
    untried: tuple[str, ...] = ()


class Conclusion(msgspec.Struct, frozen=True):
    """A verdict, its reason, and the observation that decided, if one did."""

    verdict: Verdict
    reason: str
    deciding: Observation | None = None
    waiver: str = ""


def conclude(check: Check, course: Course, waivers: Sequence[Waiver] = ()) -> Conclusion:
    """Conclude from the course of a check; no data never passes.

    A waiver turns what a check observed into WAIVED. That the service did not outlive the check,
    or served nobody afterwards, is no such finding: nobody can answer for it.
    """
    conclusion = _unwaived(check, course)
    waiver = next((one for one in waivers if one.check == check.id), None)
    observed = conclusion.verdict is Verdict.FAIL and conclusion.deciding is not None
    if waiver is None or not observed:
        return conclusion
    words = f"{waiver.owner}, until {waiver.expires}: {waiver.reason}"
    return Conclusion(Verdict.WAIVED, conclusion.reason, conclusion.deciding, words)


def _unwaived(check: Check, course: Course) -> Conclusion:
    if course.before:
        reason = f"a legitimate client was not served before the check: {course.before}"
        return Conclusion(Verdict.INCONCLUSIVE, reason)
    if course.died:
        return Conclusion(Verdict.FAIL, course.died)
    if course.after:
        reason = f"a legitimate client was served before the check and not after: {course.after}"
        if course.stalled:
            return Conclusion(Verdict.INCONCLUSIVE, f"{course.stalled}; {reason}")
        return Conclusion(Verdict.FAIL, reason)
    failed = _first(course.observations, Verdict.FAIL)
    if failed is not None and course.stalled:
        # What was late, or missing, or hung up on, may be the audit's own doing.
        return Conclusion(Verdict.INCONCLUSIVE, f"{course.stalled}; {_sentence(failed)}", failed)
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
    told = "; ".join([f"{count} observations", *course.untried])
    return Conclusion(Verdict.PASS, told, course.observations[-1])


def _first(observations: Iterable[Observation], verdict: Verdict) -> Observation | None:
    return next((one for one in observations if one.verdict is verdict), None)


def _sentence(observation: Observation) -> str:
    variant = f"{observation.variant}: " if observation.variant else ""
    return f"{variant}expected {observation.expected}; got {observation.actual}"


def declined(check: Check, reasons: Mapping[str, str]) -> str | None:
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


def require_known(
    checks: Iterable[Check],
    declines: Mapping[str, str],
    waived: Iterable[str],
    source: str = "target profile",
) -> None:
    """See that what the profile declines or waives exists, and that nothing is both.

    Raises:
        UsageError: a name matches no check and no claim, or more than a category of checks, or it
            declines a baseline; a waiver is not for one check, or for one that is declined.
    """
    every = {one.id: one for one in checks}
    claims = sorted({one.claim.value for one in every.values() if one.claim is not None})
    for name in declines:
        if name in claims:
            continue
        if name in every and every[name].claim is None:
            raise UsageError(
                f"{source}: key `declined`: {name} is a baseline, which rests on no promise and"
                " always runs; waive what it finds, or take the line out"
            )
        if not _OF_A_CATEGORY.fullmatch(name) or not any(fnmatchcase(one, name) for one in every):
            raise UsageError(
                f"{source}: key `declined`: {name!r} matches no check and no claim: expected the"
                " id of a check, a pattern of one category, such as 'HT*', or a claim;"
                f" {_closest(name, [*every, *claims])}"
            )
    for name in waived:
        if name not in every:
            raise UsageError(
                f"{source}: key `waivers`: {name!r} matches no check: expected the id of one;"
                f" {_closest(name, every)}"
            )
        if declined(every[name], declines) is not None:
            raise UsageError(
                f"{source}: key `waivers`: contradictory: {name} is declined, too; keep one"
            )


def _closest(given: str, names: Iterable[str]) -> str:
    known = {name.upper(): name for name in names}
    close = difflib.get_close_matches(given.upper(), known, n=1)
    return f"did you mean {known[close[0]]}?" if close else "`wsproof audit --list` shows them"


def expired(waivers: Iterable[Waiver], today: date) -> dict[str, Conclusion]:
    """Return the conclusion on each check whose waiver no longer holds, by its id.

    It fails whatever would be found, and whether it would be conducted or not, until the waiver is
    renewed or removed.
    """
    return {
        one.check: Conclusion(
            Verdict.FAIL,
            f"key `waivers`: its waiver expired on {one.expires} ({one.owner}); renew or remove it",
        )
        for one in waivers
        if one.expired(today)
    }


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
