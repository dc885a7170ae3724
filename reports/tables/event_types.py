"""Every type of event, sent and received once for the record."""

from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.transcripts import conversations
from reports.wording import code, quantity


@table(Section.DELIVERY, source="protocol")
def event_types(dossier: Dossier) -> Table | None:
    """Return what was published of each type and what a subscriber then read."""
    rows = []
    for kind, lines in conversations(dossier.run, "events").items():
        sent = next((line for line in lines if line.direction == "sent"), None)
        got = next((line for line in lines if line.direction == "received"), None)
        after = quantity((got.at_s - sent.at_s) * 1e6, "us") if got and sent else "not delivered"
        rows.append((code(kind), code(sent.summary) if sent else "not sent", after))
    if not rows:
        return None
    return Table(("Type", "Published", "Delivered after"), tuple(rows), frozenset({2}))
