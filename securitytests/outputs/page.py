"""The audit as one HTML page that needs nothing from anywhere: no script, no outside request."""

from html import escape

from monitor.contract.findings import Finding
from securitytests.outputs.report import AuditReport, shown
from securitytests.probe.transcript import render as render_transcript

_STYLE = """
:root { color-scheme: light dark; --line: #8886; --muted: #666; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin-bottom: .25rem; }
.lead { color: var(--muted); margin-top: 0; }
details { border-top: 1px solid var(--line); padding: .5rem 0; }
summary { cursor: pointer; display: grid; gap: .5rem;
  grid-template-columns: 9.5rem 3.5rem 1fr 5rem; }
summary span:last-child { text-align: right; color: var(--muted); }
.v { font-weight: 600; }
.PASS { color: #00785a; } .FAIL { color: #b3401f; } .INCONCLUSIVE, .NOT_RUN { color: #8a6100; }
.WAIVED { color: #0063a0; } .NOT_APPLICABLE { color: var(--muted); }
@media (prefers-color-scheme: dark) {
  :root { --muted: #a0a0a0; }
  .PASS { color: #3fc79a; } .FAIL { color: #ff8a66; } .INCONCLUSIVE, .NOT_RUN { color: #e6b450; }
  .WAIVED { color: #6db7ea; }
}
dl { display: grid; grid-template-columns: 8rem 1fr; gap: .25rem 1rem; } dd { margin: 0; }
pre { overflow-x: auto; font-size: .8rem; border-left: 3px solid var(--line); }
.wide { overflow-x: auto; margin: .5rem 0 1rem; }
table { border-collapse: collapse; font-size: .85rem; }
td, th { padding: .2rem .6rem; text-align: left; min-width: 5rem;
  border-bottom: 1px solid var(--line); vertical-align: top; }
td:first-child, th:first-child { padding-left: 0; }
@media (max-width: 40rem) {
  summary { grid-template-columns: 1fr auto; }
  summary span:nth-child(3) { grid-row: 2; grid-column: 1 / -1; }
  summary span:nth-child(4) { display: none; }
  dl { grid-template-columns: 1fr; } dt { color: var(--muted); } dd { margin-bottom: .5rem; }
}
"""

#: What needs attention stands first.
_ORDER = ("FAIL", "INCONCLUSIVE", "NOT_RUN", "WAIVED", "PASS", "NOT_APPLICABLE")

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def render(report: AuditReport) -> bytes:
    """Return the page: a summary, then each check with its observations and conversation."""
    findings = sorted(report.findings, key=lambda one: _ORDER.index(one.verdict))
    body = "\n".join(_finding(report, one) for one in findings)
    page = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Security audit of {_text(report.target)}</title>
<style>{_STYLE}</style>
<h1>Security audit of {_text(report.target)}</h1>
<p class="lead">{_text(report.summary)}. {_text(report.durations.capitalize())},
{report.seconds:.0f} s, {_text(report.started_at)}, wsproof {_text(report.version)}.</p>
{_claims(report)}
{body}
</html>
"""
    return page.encode()


def _claims(report: AuditReport) -> str:
    rows = "".join(
        f"<tr><td>{_text(sentence)}</td><td>{_text(words)}</td></tr>"
        for sentence, words in report.by_claim
    )
    return (
        f'<div class="wide"><table><tr><th>claim</th><th>its checks</th></tr>{rows}</table></div>'
    )


def _finding(report: AuditReport, one: Finding) -> str:
    opened = " open" if one.verdict in {"FAIL", "INCONCLUSIVE"} else ""
    rows = "".join(
        f'<tr><td>{_text(seen.variant)}</td><td class="v {seen.verdict}">{seen.verdict}</td>'
        f"<td>{_text(seen.expected)}</td><td>{_text(seen.actual)}</td></tr>"
        for seen in sorted(one.observations, key=lambda seen: _ORDER.index(seen.verdict))
    )
    heads = "".join(f"<th>{name}</th>" for name in ("variant", "verdict", "expected", "actual"))
    table = f'<div class="wide"><table><tr>{heads}</tr>{rows}</table></div>' if rows else ""
    facts = {
        "reason": one.reason,
        "claim": one.claim or "baseline",
        "severity": one.severity,
        "references": ", ".join(one.references),
        "mend": one.remediation,
        "repeat": one.repeat,
        "waiver": one.waiver,
    }
    terms = "".join(
        f"<dt>{key}</dt><dd>{_text(value)}</dd>" for key, value in facts.items() if value
    )
    conversation = _text(render_transcript(report.transcript_of(one.id), most=40))
    return (
        f'<details{opened}><summary><span class="v {one.verdict}">{one.word}</span>'
        f"<span>{one.id}</span><span>{_text(one.title)}</span><span>{one.seconds:.1f} s</span>"
        f"</summary><dl>{terms}</dl>{table}<pre>{conversation}</pre></details>"
    )


def _text(text: str) -> str:
    """Return text as it may stand in the page: no markup, and nothing that cannot be seen."""
    return escape(shown(text))
