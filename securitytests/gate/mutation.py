"""Runs the gate against each seeded flaw: does every check bite, and only where it should?"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase

import msgspec

from monitor.contract.findings import Finding
from monitor.contract.profile import TokenKind, TokenSource
from monitor.contract.target import Target
from monitor.contract.verdicts import ExitCode, NoVerdictError, UsageError, Verdict
from securitytests.check import Check
from securitytests.gate.plan import Plan
from securitytests.gate.run import Gate
from securitytests.mutants.registry import Mutant

#: Mutants tried at a time for each core: each is a server and four checks that mostly wait.
SIDE_BY_SIDE = 3

#: Mutants tried at a time, in all, when each meets every check: one audit is all a machine bears.
SIDE_BY_SIDE_FULL = 1

#: Checks that must conclude as without the flaw.
CONTROLS = 3

#: Verdicts that say nothing.
_OPEN_ENDS = frozenset({Verdict.INCONCLUSIVE, Verdict.NOT_RUN})

TellMutant = Callable[["Trial", int, int], None]


class Trial(msgspec.Struct, frozen=True):
    """One mutant tried: what each check concluded.

    `detected` tells whether every check of `caught_by` failed. Of the checks neither named nor
    allowed to fail, `strays` failed or no longer applied, and `unsettled` came to no verdict.
    `reasons` say of each that is not as it should be why. `defect` says why the mutant could not be
    tried, `stalled_s` how long the audit itself stood still at most.
    """

    mutant: str
    flaw: str
    claim: str | None
    caught_by: tuple[str, ...]
    may: tuple[str, ...]
    verdicts: dict[str, Verdict]
    detected: bool
    strays: tuple[str, ...]
    defect: str
    seconds: float
    unsettled: tuple[str, ...] = ()
    reasons: dict[str, str] = {}
    stalled_s: float = 0.0

    @property
    def undecided(self) -> bool:
        """Whether a named check came to no verdict while none let the flaw pass."""
        named = [self.verdicts.get(name, Verdict.NOT_RUN) for name in self.caught_by]
        passed = any(verdict not in {Verdict.FAIL, *_OPEN_ENDS} for verdict in named)
        return not passed and any(verdict in _OPEN_ENDS for verdict in named)

    @property
    def word(self) -> str:
        """How it went, in a word: detected, MISSED, UNDECIDED or defect."""
        if self.defect:
            return "defect"
        return "detected" if self.detected else "UNDECIDED" if self.undecided else "MISSED"


def mutated(target: Target, name: str) -> Target:
    """Return the target with the mutant in place of the monitor.

    Raises:
        UsageError: the profile does not start the reference monitor.
    """
    start = target.start
    if start is None or "serve" not in start.command:
        raise UsageError(
            "audit --mutants: needs the profile of the reference monitor, whose `start.command`"
            " has `serve` in it; leave out --target"
        )
    arguments = start.command[start.command.index("serve") + 1 :]
    command = ("{python}", "-m", "securitytests.mutants", name, "--", *arguments)
    return msgspec.structs.replace(
        target,
        start=msgspec.structs.replace(start, command=command),
        tokens=_not_signable(target),
    )


def _not_signable(target: Target) -> dict[TokenKind, TokenSource]:
    """Leave out token commands where the key can sign the same in microseconds."""
    signable = () if target.signing is None else target.signing.scopes
    return {kind: source for kind, source in target.tokens.items() if kind not in signable}


def chosen_checks(mutant: Mutant, checks: Sequence[Check], *, full: bool) -> tuple[Check, ...]:
    """Return the checks to try on a mutant: those that must catch it, and controls.

    Controls are cheap checks that are neither named nor allowed to fail, taken in turn so that
    all mutants together use many. `full` takes every check.

    Raises:
        UsageError: the mutant names a check that there is not.
    """
    known = {check.id: check for check in checks}
    for name in mutant.caught_by:
        if name not in known:
            raise UsageError(f"mutant {mutant.name}: `caught_by` names {name}, which is no check")
    if full:
        return tuple(checks)
    others = [
        check
        for check in sorted(checks, key=lambda one: (one.cost_s, one.order))
        if check.id not in mutant.caught_by
        and check.server == "shared"
        and not check.alone
        and not any(fnmatchcase(check.id, pattern) for pattern in mutant.may)
    ]
    cheap = others[: 3 * CONTROLS]
    at = sum(mutant.name.encode()) % max(1, len(cheap))
    controls = (cheap[at:] + cheap[:at])[:CONTROLS]
    return (*(known[name] for name in mutant.caught_by), *controls)


def judge_trial(
    mutant: Mutant,
    findings: Mapping[str, Finding],
    seconds: float,
    defect: str = "",
    stalled_s: float = 0.0,
) -> Trial:
    """Judge from the findings: detected only if every named check says FAIL, and no defect.

    Every check applies to the reference monitor, so that one which no longer does is a stray, too.
    A check that is only reported may leave open what it would say.
    """
    verdicts = {name: finding.verdict for name, finding in findings.items()}
    others = [
        finding
        for name, finding in findings.items()
        if name not in mutant.caught_by
        and not any(fnmatchcase(name, pattern) for pattern in mutant.may)
        and finding.verdict not in {Verdict.PASS, Verdict.WAIVED}
    ]
    strays = tuple(one.id for one in others if one.verdict not in _OPEN_ENDS)
    unsettled = tuple(one.id for one in others if one.verdict in _OPEN_ENDS and one.gating)
    missed = [name for name in mutant.caught_by if verdicts.get(name) is not Verdict.FAIL]
    return Trial(
        mutant=mutant.name,
        flaw=mutant.flaw,
        claim=None if mutant.claim is None else mutant.claim.value,
        caught_by=mutant.caught_by,
        may=mutant.may,
        verdicts=verdicts,
        detected=not defect and not missed,
        strays=strays,
        defect=defect,
        seconds=round(seconds, 2),
        unsettled=unsettled,
        reasons={
            name: findings[name].reason
            for name in (*missed, *strays, *unsettled)
            if name in findings
        },
        stalled_s=round(stalled_s, 3),
    )


async def try_mutants(
    plan: Plan, mutants: Sequence[Mutant], tell: TellMutant, *, full: bool = False
) -> tuple[Trial, ...]:
    """Try every mutant; return the trials in the order of the mutants.

    First all that may run side by side, then, one mutant after the other, the checks that measure;
    with `full` one mutant after the other throughout.
    `tell` has been told of every trial that was done, if this is cancelled, too.

    Raises:
        UsageError: a mutant names a check that there is not; the target has no mutants.
    """
    chosen = {one.name: chosen_checks(one, plan.checks, full=full) for one in mutants}
    places = asyncio.Semaphore(SIDE_BY_SIDE_FULL if full else SIDE_BY_SIDE * (os.cpu_count() or 1))
    done: dict[str, Trial] = {}

    async def one(mutant: Mutant) -> _Tried:
        async with places:
            beside = [check for check in chosen[mutant.name] if not check.alone]
            tried = await _try(plan, mutant, beside, _Tried({}))
            alone = [check for check in chosen[mutant.name] if check.alone]
            if full:  # one at a time as it is: each is concluded before the next begins
                tried = await _try(plan, mutant, alone, tried)
        if full or not alone:
            conclude(mutant, tried)
        return tried

    def conclude(mutant: Mutant, tried: _Tried) -> None:
        trial = judge_trial(mutant, tried.findings, tried.seconds, tried.defect, tried.stalled_s)
        done[mutant.name] = trial
        tell(trial, len(done), len(mutants))

    begun = await asyncio.gather(*map(one, mutants))
    for mutant, tried in zip(mutants, begun, strict=True):
        alone = [check for check in chosen[mutant.name] if check.alone]
        if alone and not full:
            conclude(mutant, await _try(plan, mutant, alone, tried))
    return tuple(done[mutant.name] for mutant in mutants)


class _Tried(msgspec.Struct, frozen=True):
    """What is known of a mutant so far."""

    findings: dict[str, Finding]
    seconds: float = 0.0
    defect: str = ""
    stalled_s: float = 0.0


async def _try(plan: Plan, mutant: Mutant, checks: Sequence[Check], before: _Tried) -> _Tried:
    """Run some checks on a mutant; return what is known after them."""
    if not checks or before.defect:
        return before
    target = mutated(plan.target, mutant.name)
    mutated_plan = msgspec.structs.replace(plan, target=target, checks=tuple(checks), left_out=())
    try:
        outcome = await Gate(mutated_plan, lambda *_: None).run()
    except NoVerdictError as error:
        return msgspec.structs.replace(before, defect=str(error))
    findings = {finding.id: finding for finding in outcome.findings}
    return _Tried(
        before.findings | findings,
        before.seconds + outcome.seconds,
        stalled_s=max(before.stalled_s, outcome.stalled_s),
    )


def mutation_exit_code(trials: Sequence[Trial]) -> ExitCode:
    """Return 0 if every flaw was detected without strays, 1 if not, 3 if anything was left open."""
    if any(trial.word == "MISSED" or (trial.strays and not trial.defect) for trial in trials):
        return ExitCode.BROKEN
    if not trials or not all(trial.detected and not trial.unsettled for trial in trials):
        return ExitCode.NO_VERDICT
    return ExitCode.HOLDS
