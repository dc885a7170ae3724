"""The audit as Markdown, for the summary of a CI job."""

from collections.abc import Sequence

from monitor.contract.findings import Finding
from monitor.contract.verdicts import Verdict
from securitytests.outputs.report import AuditReport, advice, shown
from securitytests.probe.transcript import render as render_transcript

_FIRST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_RUN, Verdict.WAIVED)


def render(report: AuditReport) -> bytes:
    """Return the summary, what needs attention with its conversation, then the whole table."""
    conditions = f"{report.durations.capitalize()}, {report.seconds:.0f} s, {report.started_at}"
    parts = [
        f"## Security audit of {_text(report.target)}",
        f"{report.summary}. {conditions}.",
    ]
    claims = ["| claim | its checks |", "|---|---|"]
    claims += [f"| {_text(sentence)} | {words} |" for sentence, words in report.by_claim]
    parts.append("\n".join(claims))
    for verdict in _FIRST:
        parts += [_detail(report, one) for one in report.attention if one[0].verdict is verdict]
    rows = ["| check | verdict | severity | title | seconds |", "|---|---|---|---|---:|"]
    rows += [
        f"| {one.id} | {one.word} | {one.severity} | {_text(one.title)} | {one.seconds:.1f} |"
        for one in report.findings
    ]
    parts.append("\n".join(rows))
    return ("\n\n".join(parts) + "\n").encode()


def _detail(report: AuditReport, group: Sequence[Finding]) -> str:
    finding, *others = group
    if others:
        return "\n\n".join(
            [
                f"### {finding.word}: {len(group)} checks",
                _text(finding.reason),
                ", ".join(one.id for one in group),
                f"Repeat: `{shown(finding.repeat)}`",
            ]
        )
    lines = [f"### {finding.word} {finding.id}: {_text(finding.title)}", _text(finding.reason)]
    if finding.waiver:
        lines.append(f"Waived by {_text(finding.waiver)}.")
    mend = f"Mend: {_text(advice(finding))} " if advice(finding) else ""
    lines.append(f"{mend}Repeat: `{shown(finding.repeat)}`")
    conversation = shown(render_transcript(report.transcript_of(finding.id)))
    if conversation:
        indented = "\n".join(f"    {line}" for line in conversation.split("\n"))
        lines.append(indented)
    return "\n\n".join(lines)


def _text(text: str) -> str:
    """Escape what Markdown or HTML would take for markup, show what cannot be seen; one line."""
    escaped = shown(text).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
    return " ".join(escaped.replace("`", "\\`").replace("*", "\\*").split())
