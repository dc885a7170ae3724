"""The audit as one JSON document."""

import msgspec

from securitytests.outputs.report import AuditReport


def render(report: AuditReport) -> bytes:
    """Return the report with all findings and conversations, indented."""
    document = {**msgspec.to_builtins(report), "counts": report.counts, "summary": report.summary}
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
