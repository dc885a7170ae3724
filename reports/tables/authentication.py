"""What each way of authenticating meets: a good token and bad ones, as recorded."""

from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.transcripts import conversations


@table(Section.AUTHENTICATION, source="protocol")
def authentication(dossier: Dossier) -> Table | None:
    """Return the last answer of every recorded authentication, and how long it took."""
    rows = []
    for name, lines in conversations(dossier.run, "authentication").items():
        way, _, case = name.partition(": ")
        answers = [line for line in lines if line.direction == "received"]
        if answers:
            rows.append((way, case, f"`{answers[-1].summary}`", f"{answers[-1].at_s * 1e3:.1f} ms"))
    if not rows:
        return None
    return Table(("Way", "Token", "Answer", "After"), tuple(rows), frozenset({3}))
