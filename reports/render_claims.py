"""The claims' standings for other programs: JUnit for CI, JSON, and a Markdown summary."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import msgspec

from monitor.contract.verdicts import ClaimVerdict
from reports.render_markdown import render_table, summary
from reports.standing import Standing, standings_table
from reports.wording import quantity


def claims_junit(found: Sequence[Standing]) -> str:
    """Return JUnit XML: FALSE is a failure, UNPROVEN an error (it must not pass for a success)."""
    count = {word: sum(one.judgement.verdict is word for one in found) for word in ClaimVerdict}
    suites = Element("testsuites")
    suite = SubElement(
        suites,
        "testsuite",
        name="claims",
        tests=str(len(found)),
        failures=str(count[ClaimVerdict.FALSE]),
        errors=str(count[ClaimVerdict.UNPROVEN]),
        skipped="0",
        time="0",
    )
    for one in found:
        claim = one.judgement.claim
        case = SubElement(
            suite, "testcase", classname=f"claims.{claim.group}", name=claim.id, time="0"
        )
        kind = {ClaimVerdict.FALSE: "failure", ClaimVerdict.UNPROVEN: "error"}.get(
            one.judgement.verdict
        )
        if kind is not None:
            said = SubElement(case, kind, type=one.judgement.verdict, message=one.judgement.reason)
            said.text = f"{claim.sentence}\nEvidence: {one.run.id if one.run else 'none'}"
    indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + tostring(suites, encoding="unicode") + "\n"


def claims_summary(found: Sequence[Standing], host: str | None = None) -> str:
    """Return a Markdown summary: how many hold, then the table."""
    heading = summary([one.judgement for one in found])
    table = render_table(standings_table(found, host))
    return f"## {heading[:1].upper()}{heading[1:]}\n\n{table}\n"


def claims_json(found: Sequence[Standing]) -> str:
    """Return one JSON array, an object a claim."""
    rows = [
        {
            "claim": one.judgement.claim.id,
            "verdict": one.judgement.verdict,
            "reason": one.judgement.reason,
            "measured": one.judgement.measured,
            "interval": one.judgement.measured.interval if one.judgement.measured else None,
            "margin": one.judgement.margin,
            "unit": one.judgement.measured.unit if one.judgement.measured else None,
            "run": one.run.id if one.run else None,
        }
        for one in found
    ]
    return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode()


def margin_of(standing: Standing) -> str:
    """Return how far the figure is from its bound, for reading: `4.31 ms`."""
    judgement = standing.judgement
    if judgement.margin is None or judgement.measured is None or judgement.claim.checks:
        return ""
    return quantity(judgement.margin, judgement.measured.unit)
