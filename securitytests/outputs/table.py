"""The audit, the catalogue and the mutants as plain text for a terminal."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from monitor.contract.findings import Finding
from securitytests.check import Check, Claim
from securitytests.gate.mutation import Trial
from securitytests.gate.twins import (
    LEAST_APPLICABLE,
    TwinRun,
    broad_services,
    most_false_alarms,
    narrow_services,
)
from securitytests.outputs.report import AuditReport, advice
from securitytests.probe.transcript import render as render_transcript


def findings(report: AuditReport) -> str:
    """Return one line a check, then what needs attention, then the summary."""
    lines = [
        f"{one.id:5} {one.word:15} {one.severity:9} {one.seconds:6.1f} s  {one.title}"
        for one in report.findings
    ]
    for group in report.attention:
        lines += ["", *_detail(report, group)]
    return "\n".join([*lines, "", f"{report.summary}, {report.durations}, {report.seconds:.0f} s"])


def _detail(report: AuditReport, group: Sequence[Finding]) -> Iterator[str]:
    """Yield what is to be known of one finding, or of several without a verdict for one reason."""
    one, *others = group
    if others:
        yield f"{len(group)} checks {one.word}: {one.reason}"
        yield f"  {', '.join(each.id for each in group)}"
    else:
        yield f"{one.id} {one.word}: {one.reason}"
        if one.waiver:
            yield f"  waived by {one.waiver}"
        conversation = render_transcript(report.transcript_of(one.id), most=8)
        yield from (f"  {line}" for line in conversation.splitlines())
        if advice(one):
            yield f"  mend:   {advice(one)}"
    yield f"  repeat: {one.repeat}"


def catalogue(checks: Iterable[Check]) -> str:
    """Return one line a check: id, severity, cost, claim, title, references."""
    return "\n".join(
        f"{one.id:5} {one.severity:9} {one.cost_s:5.1f} s  {one.claim or 'baseline':28} {one.title}"
        f" ({', '.join(one.references)})" + ("" if one.gating else "; reported, not gating")
        for one in checks
    )


def trials(tried: Sequence[Trial]) -> str:
    """Return one line a mutant, then detected/seeded for each claim."""
    lines = []
    for one in tried:
        strays = (
            f"; also failed or no longer applied: {', '.join(one.strays)}" if one.strays else ""
        )
        strays += f"; no verdict: {', '.join(one.unsettled)}" if one.unsettled else ""
        lines.append(f"{one.word:9} {one.mutant:36} {', '.join(one.caught_by)}{strays}")
        lines += [f"          {name}: {why}" for name, why in one.reasons.items()]
        if one.defect:
            lines.append(f"          {one.defect}")
        if one.stalled_s > 1:
            lines.append(f"          the audit itself stood still for {one.stalled_s:.1f} s")
    lines.append("")
    for claim in (*Claim, None):
        carried = [one for one in tried if one.claim == (claim and claim.value)]
        if carried:
            detected = sum(one.detected for one in carried)
            lines.append(f"{detected}/{len(carried)}  {claim.sentence if claim else 'baseline'}")
    detected = sum(one.detected for one in tried)
    return "\n".join([*lines, f"{detected}/{len(tried)}  detected/seeded"])


def twins(runs: Sequence[TwinRun], *, whole: bool) -> str:
    """Return one line a run against a correct service, then false alarms and their bound.

    Of `whole` runs, of every check, services are named on which too few are applicable.
    """
    lines = []
    for run in runs:
        word = "clean" if run.clean else "ALARM" if run.alarms else "UNDECIDED"
        counts = f"{run.applicable:3} of {run.total} applicable"
        found = f"{len(run.alarms)} findings, {len(run.undecided)} INCONCLUSIVE"
        lines.append(
            f"{word:9} {run.service:24} seed {run.seed:<10}  {counts}, {found} {run.seconds:6.1f} s"
        )
        lines += [f"          {name}: {why}" for name, why in (run.alarms | run.undecided).items()]
        lines += [f"          {run.defect}"] if run.defect else []
        if run.stalled_s > 1:
            lines.append(f"          the audit itself stood still for {run.stalled_s:.1f} s")
    clean = sum(run.clean for run in runs)
    alarms = sum(len(run.alarms) for run in runs)
    bound = most_false_alarms(runs)
    lines += ["", f"{alarms}/{clean}  false alarms/clean runs, of {len(runs)} runs"]
    if bound is not None:
        lines.append(f"fewer than {bound:.0%} of runs raise one (3/n, 95 % confidence)")
    broad = _named(broad_services(runs)) or "none"
    lines.append(f"services with at least {LEAST_APPLICABLE} applicable checks: {broad}")
    if whole and narrow_services(runs):
        narrow = _named(narrow_services(runs))
        lines.append(f"no verdict: services with fewer than {LEAST_APPLICABLE}: {narrow}")
    return "\n".join(lines)


def _named(services: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in services.items())
