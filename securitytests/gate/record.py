"""Writes the evidence of an audit: one run folder of kind `audit`, from which claims are judged."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from monitor.contract import provenance
from monitor.contract.evidence import (
    FINDINGS,
    TRANSCRIPTS,
    Metric,
    RunRecord,
    RunWriter,
    new_run_id,
)
from monitor.contract.findings import Finding
from monitor.contract.tables import RESOURCES, Scalar
from monitor.contract.verdicts import ExitCode, RunVerdict, Verdict
from securitytests.check import Claim
from securitytests.gate.conclude import exit_code
from securitytests.gate.mutation import Trial, mutation_exit_code
from securitytests.gate.plan import Plan
from securitytests.gate.run import Outcome
from securitytests.gate.stalls import too_long
from securitytests.gate.twins import (
    LEAST_APPLICABLE,
    TwinRun,
    broad_services,
    most_false_alarms,
    narrow_services,
    twins_exit_code,
)

#: One line a mutant; see `mutation.Trial`.
MUTANTS = "mutants.jsonl"

#: One line a run of the gate against a correct service; see `twins.TwinRun`.
TWINS = "twins.jsonl"

_COUNTED = (
    (Verdict.PASS, "passed"),
    (Verdict.FAIL, "failed"),
    (Verdict.INCONCLUSIVE, "inconclusive"),
    (Verdict.NOT_APPLICABLE, "not_applicable"),
    (Verdict.WAIVED, "waived"),
    (Verdict.NOT_RUN, "not_run"),
)


class AuditRecorder:
    """Notes the conditions when it is made; `findings`, `trials` or `twins` writes the folder.

    Args:
        runs: the folder of run folders.
        command: the command line, as the evidence shall show it.
        profile: the target profile, or the folder of several.
        seed: what the order of the checks was drawn with, if it was.
        code: the folder of what is measured; the monitor unless told otherwise.
    """

    def __init__(
        self,
        runs: Path,
        command: str,
        profile: Path,
        *,
        seed: int | None = None,
        code: Path | None = None,
    ) -> None:
        self._runs = runs
        self._started = time.monotonic()
        measured = code or Path(provenance.__file__).parents[1]
        self._collector = provenance.Collector(command, seed, measured, profile)

    def findings(self, plan: Plan, outcome: Outcome) -> Path:
        """Write what the checks found; return the run folder."""
        run_id = new_run_id("audit", "gate")
        with RunWriter(self._runs, run_id) as writer:
            writer.write_lines(FINDINGS, outcome.findings)
            writer.write_lines(TRANSCRIPTS, outcome.transcripts)
            writer.write_table(RESOURCES, outcome.resources)
            return writer.finish(
                self._record(
                    run_id,
                    "gate",
                    (plan.target.name, outcome.target_url),
                    exit_code(outcome.findings, plan.expected),
                    metrics_of(outcome),
                    _parameters(plan),
                    (too_long(outcome.stalled_s, plan.target.promises.tolerance_s),),
                    interrupted="the audit was interrupted" if outcome.interrupted else "",
                )
            )

    def trials(
        self,
        plan: Plan,
        trials: Iterable[Trial],
        *,
        full: bool,
        only: str | None = None,
        interrupted: str = "",
    ) -> Path:
        """Write what became of the mutants, all or those chosen by `only`; return the folder.

        `interrupted` says how far it came, if it did not come to its end: that proves nothing.
        """
        tried = tuple(trials)
        run_id = new_run_id("audit", "mutants")
        with RunWriter(self._runs, run_id) as writer:
            writer.write_lines(MUTANTS, tried)
            return writer.finish(
                self._record(
                    run_id,
                    "mutants",
                    (plan.target.name, plan.target.url),
                    mutation_exit_code(tried),
                    trial_metrics(tried),
                    {**_parameters(plan), "full": full, "only": only},
                    (too_long(_longest(tried), plan.target.promises.tolerance_s),),
                    interrupted=interrupted,
                )
            )

    def twins(
        self,
        runs: Sequence[TwinRun],
        *,
        real_time: bool,
        only: str | None = None,
        interrupted: str = "",
    ) -> Path:
        """Write what the gate, or the checks of `only`, said of correct services.

        `interrupted` says how far it came, if it did not come to its end: that proves nothing.
        """
        run_id = new_run_id("audit", "twins")
        with RunWriter(self._runs, run_id) as writer:
            writer.write_lines(TWINS, runs)
            return writer.finish(
                self._record(
                    run_id,
                    "twins",
                    ("correct services", ""),
                    twins_exit_code(runs, whole=False),
                    twin_metrics(runs),
                    {"repeats": len(runs), "real_time": real_time, "only": only},
                    (_narrowness_of(runs) if only is None else "",),
                    interrupted=interrupted,
                )
            )

    def _record(
        self,
        run_id: str,
        scenario: str,
        target: tuple[str, str],
        code: ExitCode,
        metrics: dict[str, Metric],
        parameters: dict[str, Scalar],
        doubts: tuple[str, ...] = (),
        interrupted: str = "",
    ) -> RunRecord:
        undecided = "not every check came to a verdict" if code is ExitCode.NO_VERDICT else ""
        reasons = tuple(filter(None, (interrupted, undecided, *doubts)))
        doubt = RunVerdict.SUSPECT if reasons else RunVerdict.VALID
        seconds = Metric(round(time.monotonic() - self._started, 3), "s", "total")
        return RunRecord(
            id=run_id,
            kind="audit",
            scenario=scenario,
            parameters=parameters,
            target=target[0],
            target_url=target[1],
            verdict=RunVerdict.INVALID if interrupted else doubt,
            reasons=reasons,
            metrics={**metrics, "audit_seconds": seconds},
            repeats=(),
            provenance=self._collector.finish(),
        )


def _longest(trials: Iterable[Trial]) -> float:
    """Return the longest the audit stood still in any trial, in seconds."""
    return max((one.stalled_s for one in trials), default=0.0)


def _narrowness_of(runs: Sequence[TwinRun]) -> str:
    """Say on which correct services too few checks were applicable, or nothing."""
    names = ", ".join(narrow_services(runs))
    return f"fewer than {LEAST_APPLICABLE} applicable checks on {names}" if names else ""


def _parameters(plan: Plan) -> dict[str, Scalar]:
    return {
        "only": plan.only,
        "real_time": plan.real_time,
        "tier": plan.permissions.tier or "",
        "full": False,
        "checks": len(plan.checks) + len(plan.left_out),
    }


def metrics_of(outcome: Outcome) -> dict[str, Metric]:
    """Count verdicts, in all and for each claim, and add what the checks measured."""
    found = _counts("checks", outcome.findings)
    applicable = sum(one.verdict is not Verdict.NOT_APPLICABLE for one in outcome.findings)
    found["checks_applicable"] = _count(applicable)
    for claim in Claim:
        carrying = [one for one in outcome.findings if one.claim == claim.value]
        if carrying:
            found |= _counts(f"{claim.metric}_checks", carrying)
    for finding in outcome.findings:
        for name, value in finding.figures.items():
            unit = next((u for u in ("bytes", "ms", "s") if name.endswith(f"_{u}")), "count")
            found[f"{finding.id.lower()}_{name}"] = Metric(value, unit, "total")
    found["audit_stalled_s"] = Metric(round(outcome.stalled_s, 3), "s", "maximum")
    if outcome.rss_peak_bytes is not None:
        found["target_rss_peak_bytes"] = Metric(outcome.rss_peak_bytes, "bytes", "maximum")
    return found


def trial_metrics(trials: Iterable[Trial]) -> dict[str, Metric]:
    """Count seeded and detected flaws, in all and for each claim."""
    tried = tuple(trials)
    found = {
        "mutants_seeded": _count(len(tried), "mutants"),
        "mutants_detected": _count(sum(one.detected for one in tried), "mutants"),
        "mutants_with_strays": _count(sum(bool(one.strays) for one in tried), "mutants"),
    }
    for claim in Claim:
        carried = [one for one in tried if one.claim == claim.value]
        if carried:
            detected = sum(one.detected for one in carried)
            found[f"{claim.metric}_mutants_seeded"] = _count(len(carried), "mutants")
            found[f"{claim.metric}_mutants_detected"] = _count(detected, "mutants")
    return found


def twin_metrics(runs: Sequence[TwinRun]) -> dict[str, Metric]:
    """Count clean runs and alarms, and say how rare alarms are shown to be."""
    found = {
        "twin_runs": _count(len(runs), "runs"),
        "twin_runs_clean": _count(sum(run.clean for run in runs), "runs"),
        "twin_false_alarms": _count(sum(len(run.alarms) for run in runs)),
        "twin_undecided": _count(sum(len(run.undecided) for run in runs)),
        "twin_checks_applicable": _count(sum(run.applicable for run in runs)),
        "twin_services": _count(len({run.service for run in runs}), "services"),
        "twin_services_broad": _count(len(broad_services(runs)), "services"),
    }
    bound = most_false_alarms(runs)
    if bound is not None:
        unit = "share of runs"
        found["twin_false_alarm_bound"] = Metric(round(bound, 4), unit, "upper bound, 95 %")
    return found


def _counts(prefix: str, findings: Iterable[Finding]) -> dict[str, Metric]:
    verdicts = [finding.verdict for finding in findings]
    found = {f"{prefix}_{word}": _count(verdicts.count(verdict)) for verdict, word in _COUNTED}
    return {**found, f"{prefix}_total": _count(len(verdicts))}


def _count(number: int, unit: str = "checks") -> Metric:
    return Metric(float(number), unit, "count")
