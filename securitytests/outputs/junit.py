"""The audit as JUnit XML, in the shape CI servers read (junit-10.xsd of the Jenkins xUnit plugin).

FAIL is a failure, INCONCLUSIVE an error; NOT_APPLICABLE, WAIVED and NOT_RUN, which is what the
gentle tier leaves out, are skipped with their reason, and so is what a check that is not gating
reports.
"""

import re
from xml.etree import ElementTree as ET

from monitor.contract.findings import Finding
from monitor.contract.verdicts import Verdict
from securitytests.outputs.report import AuditReport
from securitytests.probe.transcript import render as render_transcript

#: Characters XML 1.0 has no place for.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_ELEMENTS = {
    Verdict.FAIL: "failure",
    Verdict.INCONCLUSIVE: "error",
    Verdict.NOT_RUN: "skipped",
    Verdict.NOT_APPLICABLE: "skipped",
    Verdict.WAIVED: "skipped",
}


def render(report: AuditReport) -> bytes:
    """Return one test suite with one test case a check."""
    elements = [_element(finding) or "" for finding in report.findings]
    suite = ET.Element(
        "testsuite",
        name="wsproof audit",
        tests=str(len(elements)),
        failures=str(elements.count("failure")),
        errors=str(elements.count("error")),
        skipped=str(elements.count("skipped")),
        time=f"{report.seconds:.3f}",
        timestamp=report.started_at.rstrip("Z"),
        hostname=_clean(report.target),
    )
    for finding in report.findings:
        suite.append(_case(report, finding))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _case(report: AuditReport, finding: Finding) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname=f"wsproof.{finding.claim or 'baseline'}",
        name=_clean(f"{finding.id} {finding.title}"),
        time=f"{finding.seconds:.3f}",
    )
    element = _element(finding)
    if element is not None:
        message = f"waived by {finding.waiver}" if finding.waiver else finding.reason
        told = ET.SubElement(
            case,
            element,
            message=_clean(message),
            type=f"{finding.word} {finding.severity}",
        )
        told.text = _clean(_explanation(report, finding))
    return case


def _element(finding: Finding) -> str | None:
    """Return the element that tells the verdict; None for a pass."""
    element = _ELEMENTS.get(finding.verdict)
    return "skipped" if element is not None and finding.word != finding.verdict else element


def _explanation(report: AuditReport, finding: Finding) -> str:
    conversation = render_transcript(report.transcript_of(finding.id))
    return "\n".join(
        [finding.reason, f"Mend: {finding.remediation}", f"Repeat: {finding.repeat}", conversation]
    )


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
