"""The limits a service promises, each with what decides it."""

from reports.exhibits import Table
from reports.passage import passage
from reports.render_markdown import render_table
from reports.sources import Sources
from reports.tables.claims import claim_row, reasons


@passage
def rate_limits(sources: Sources, _body: str) -> str | None:
    """Return the group `limits` as a table: limit, claimed, measured, verdict."""
    found = sources.standings("limits")
    if not any(one.run for one in found):
        return None
    rows = tuple(claim_row(one.judgement, one.run.metrics if one.run else {}) for one in found)
    notes = reasons([one.judgement for one in found])
    return render_table(Table(("Limit", "Claimed", "Measured", ""), rows, notes=notes)) + "\n"
