"""Every check of an audit with its verdict, what failed first."""

from monitor.contract.verdicts import Verdict
from reports.checks import findings
from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.sources import AUDIT

#: What a reader looks for first.
_ORDER = (
    Verdict.FAIL,
    Verdict.INCONCLUSIVE,
    Verdict.NOT_RUN,
    Verdict.WAIVED,
    Verdict.NOT_APPLICABLE,
    Verdict.PASS,
)


@table(Section.SECURITY, source=AUDIT)
def checks(dossier: Dossier) -> Table | None:
    """Return the audit's findings; a check that did not pass says why."""
    found = sorted(findings(dossier.run), key=lambda one: (_ORDER.index(one.verdict), one.id))
    if not found:
        return None
    rows = tuple(
        (
            one.id,
            one.title,
            one.severity.value,
            one.claim or "baseline",
            f"**{one.word}**",
            "" if one.verdict is Verdict.PASS else one.reason,
        )
        for one in found
    )
    return Table(("Check", "", "Severity", "Carries", "", "Why"), rows)
