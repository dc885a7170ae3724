"""Writes the evidence of an audit: one run folder of kind `audit`, from which claims are judged."""

import time
from collections.abc import Iterable
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
from monitor.contract.verdicts import ExitCode, RunVerdict, Verdict
from securitytests.check import Claim
from securitytests.gate.conclude import exit_code
from securitytests.gate.mutation import Trial, mutation_exit_code
from securitytests.gate.plan import Plan
from securitytests.gate.run import Outcome

#: One line a mutant; see `mutation.Trial`.
MUTANTS = "mutants.jsonl"

_COUNTED = (
    (Verdict.PASS, "passed"),
    (Verdict.FAIL, "failed"),
    (Verdict.INCONCLUSIVE, "inconclusive"),
    (Verdict.NOT_APPLICABLE, "not_applicable"),
    (Verdict.WAIVED, "waived"),
    (Verdict.NOT_RUN, "not_run"),
)


class AuditRecorder:
    """Notes the conditions when it is made; `findings` or `trials` writes the folder."""

    def __init__(self, plan: Plan, runs: Path, command: str) -> None:
        self._plan = plan
        self._runs = runs
        self._command = command
        self._started = time.monotonic()
        measured_code = Path(provenance.__file__).parents[1]
        self._collector = provenance.Collector(command, None, measured_code, plan.target.path)

    def findings(self, outcome: Outcome) -> Path:
        """Write what the checks found; return the run folder."""
        run_id = new_run_id("audit", "gate")
        with RunWriter(self._runs, run_id) as writer:
            writer.write_lines(FINDINGS, outcome.findings)
            writer.write_lines(TRANSCRIPTS, outcome.transcripts)
            code = exit_code(outcome.findings, self._plan.expected)
            return writer.finish(
                self._record(run_id, "gate", code, outcome.target_url, metrics_of(outcome))
            )

    def trials(self, trials: Iterable[Trial], *, full: bool) -> Path:
        """Write what became of the mutants; return the run folder."""
        tried = tuple(trials)
        run_id = new_run_id("audit", "mutants")
        with RunWriter(self._runs, run_id) as writer:
            writer.write_lines(MUTANTS, tried)
            code = mutation_exit_code(tried)
            metrics = trial_metrics(tried)
            record = self._record(
                run_id, "mutants", code, self._plan.target.url, metrics, full=full
            )
            return writer.finish(record)

    def _record(
        self,
        run_id: str,
        scenario: str,
        code: ExitCode,
        url: str,
        metrics: dict[str, Metric],
        *,
        full: bool = False,
    ) -> RunRecord:
        plan = self._plan
        decided = code is not ExitCode.NO_VERDICT
        seconds = Metric(round(time.monotonic() - self._started, 3), "s", "total")
        return RunRecord(
            id=run_id,
            kind="audit",
            scenario=scenario,
            parameters={
                "only": plan.only,
                "real_time": plan.real_time,
                "tier": plan.permissions.tier or "",
                "full": full,
                "checks": len(plan.checks) + len(plan.left_out),
            },
            target=plan.target.name,
            target_url=url,
            verdict=RunVerdict.VALID if decided else RunVerdict.SUSPECT,
            reasons=() if decided else ("not every check came to a verdict",),
            metrics={**metrics, "audit_seconds": seconds},
            repeats=(),
            provenance=self._collector.finish(),
        )


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


def _counts(prefix: str, findings: Iterable[Finding]) -> dict[str, Metric]:
    verdicts = [finding.verdict for finding in findings]
    found = {f"{prefix}_{word}": _count(verdicts.count(verdict)) for verdict, word in _COUNTED}
    return {**found, f"{prefix}_total": _count(len(verdicts))}


def _count(number: int, unit: str = "checks") -> Metric:
    return Metric(float(number), unit, "count")
