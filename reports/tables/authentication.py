"""What each way of authenticating meets: a good token and bad ones, as recorded."""

from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.transcripts import conversations
from reports.wording import code, quantity


@table(Section.AUTHENTICATION, source="protocol")
def authentication(dossier: Dossier) -> Table | None:
    """Return the last answer of every recorded authentication, and how long it took."""
    rows = []
    for name, lines in conversations(dossier.run, "authentication").items():
        way, _, case = name.partition(": ")
        answers = [line for line in lines if line.direction == "received"]
        if answers:
            last = answers[-1]
            rows.append((way, case, code(last.summary), quantity(last.at_s * 1e6, "us")))
    if not rows:
        return None
    return Table(("Way", "Token", "Answer", "After"), tuple(rows), frozenset({3}))
