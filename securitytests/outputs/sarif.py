"""The audit as SARIF 2.1.0, for code scanning.

A result is what somebody has to look at: FAIL, INCONCLUSIVE, and WAIVED as a suppression; code
scanning shows each one, whatever its kind. The rest is counted in the run's properties, and a check
that did not run is a notification. Rule ids are the checks' ids. A result has a fingerprint of its
own (check and target, no figures, no addresses), so that the same finding is recognised in the next
run. What a check that is not gating finds is a note.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from monitor.contract.findings import Finding
from monitor.contract.verdicts import Severity, Verdict
from securitytests.check import Check, reference_url
from securitytests.outputs.report import AuditReport

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

#: Code scanning sorts by a score; these lie in the middle of CVSS 3.1's bands of the same names.
_SCORES = {
    Severity.LOW: "3.0",
    Severity.MEDIUM: "5.5",
    Severity.HIGH: "8.0",
    Severity.CRITICAL: "9.5",
}

_LEVELS = {
    Severity.LOW: "note",
    Severity.MEDIUM: "warning",
    Severity.HIGH: "error",
    Severity.CRITICAL: "error",
}

#: What is a result; every other verdict is only counted.
_KINDS = {
    Verdict.FAIL: "fail",
    Verdict.WAIVED: "fail",
    Verdict.INCONCLUSIVE: "review",
}


def render(report: AuditReport, checks: Sequence[Check]) -> bytes:
    """Return the log; `checks` are the rules it speaks of."""
    rules = {check.id: at for at, check in enumerate(checks)}
    results = [finding for finding in report.findings if finding.verdict in _KINDS]
    missing = [finding for finding in report.findings if finding.verdict is Verdict.NOT_RUN]
    run = {
        "tool": {
            "driver": {
                "name": "wsproof",
                "version": report.version,
                "semanticVersion": report.version,
                # Validators want an address, and the project has none: what is spoken is named.
                "informationUri": "https://datatracker.ietf.org/doc/html/rfc6455",
                "rules": [_rule(check) for check in checks],
            }
        },
        "automationDetails": {"id": f"wsproof/{report.target}/"},
        "invocations": [
            {
                "executionSuccessful": report.exit_code != 3,
                "exitCode": report.exit_code,
                "toolExecutionNotifications": [_not_run(one, rules[one.id]) for one in missing],
            }
        ],
        "results": [_result(report, finding, rules[finding.id]) for finding in results],
        "columnKind": "utf16CodeUnits",
        "properties": {"verdicts": report.counts},
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False).encode() + b"\n"


def _rule(check: Check) -> dict[str, Any]:
    urls = filter(None, map(reference_url, check.references))
    rule: dict[str, Any] = {
        "id": check.id,
        "name": _pascal(check.title),
        "shortDescription": {"text": f"{check.title}."},
        "fullDescription": {"text": " ".join(check.why.split())},
        "help": {"text": f"{check.remediation} References: {', '.join(check.references)}."},
        "defaultConfiguration": {"level": _LEVELS[check.severity] if check.gating else "note"},
        "properties": {
            "tags": ["security", *map(_tag, check.references)],
            "security-severity": _SCORES[check.severity],
            "precision": "very-high" if check.gating else "medium",
        },
    }
    url = next(urls, None)
    return rule if url is None else {**rule, "helpUri": url}


def _result(report: AuditReport, finding: Finding, rule: int) -> dict[str, Any]:
    kind = _KINDS[finding.verdict]
    level = _LEVELS[finding.severity] if finding.gating else "note"
    result: dict[str, Any] = {
        "ruleId": finding.id,
        "ruleIndex": rule,
        "kind": kind,
        "level": level if kind == "fail" else "none",
        "message": {"text": f"{finding.title}: {finding.reason}. Repeat: {finding.repeat}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": report.profile},
                    "region": {"startLine": 1},
                }
            }
        ],
        "partialFingerprints": {"wsproofFinding/v1": _fingerprint(report, finding)},
        "properties": {
            "verdict": finding.verdict,
            "claim": finding.claim or "baseline",
            "gating": finding.gating,
        },
    }
    if finding.verdict is Verdict.WAIVED:
        waived = {"kind": "external", "status": "accepted", "justification": finding.waiver}
        result["suppressions"] = [waived]
    return result


def _not_run(finding: Finding, rule: int) -> dict[str, Any]:
    return {
        "associatedRule": {"id": finding.id, "index": rule},
        "level": "note",
        "message": {"text": f"{finding.title}: not run: {finding.reason}."},
    }


def _fingerprint(report: AuditReport, finding: Finding) -> str:
    return hashlib.sha256(f"{report.target}\0{finding.id}".encode()).hexdigest()[:32]


def _tag(reference: str) -> str:
    """Spell a CWE as code scanning knows it: external/cwe/cwe-306."""
    kind, _, number = reference.partition("-")
    return f"external/cwe/cwe-{number}" if kind == "CWE" else reference.lower()


def _pascal(title: str) -> str:
    words = "".join(char if char.isalnum() else " " for char in title).split()
    return "".join(word[0].upper() + word[1:] for word in words)
