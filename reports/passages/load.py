"""The table of load claims as a chapter has it: a metric a row, its figure beside the claim."""

from monitor.contract.verdicts import ClaimVerdict
from reports.exhibits import Table
from reports.passage import passage
from reports.render_markdown import render_table
from reports.sources import Sources
from reports.standing import Standing
from reports.tables.claims import reasons, short_figure

_HEADER = ("Metric", "Value")


@passage
def load(sources: Sources, body: str) -> str | None:
    """Return the group `load`, each cell as `0.9 ms (claimed <5ms)`.

    What is not TRUE says why below the table. The headings of a table that stands there already
    are kept.
    """
    found = sources.standings("load")
    if not any(one.run for one in found):
        return None
    rows = tuple((one.judgement.claim.label, _cell(one)) for one in found)
    notes = reasons([one.judgement for one in found])
    return render_table(Table(_header(body), rows, notes=notes)) + "\n"


def _cell(standing: Standing) -> str:
    judgement = standing.judgement
    claimed = f"(claimed {judgement.claim.claimed})"
    measured = short_figure(judgement, standing.run.metrics if standing.run else {})
    match judgement.verdict:
        case ClaimVerdict.TRUE:
            return f"{measured} {claimed}"
        case ClaimVerdict.FALSE:
            return f"{measured} {claimed}: **FALSE**"
    return f"{measured} {claimed}: unproven"


def _header(body: str) -> tuple[str, str]:
    first = next((line.strip() for line in body.splitlines() if line.strip()), "")
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    return (cells[0], cells[1]) if first.startswith("|") and len(cells) == 2 else _HEADER
