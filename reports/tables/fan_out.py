"""Fan-out: how far apart the first and the last of an event's receivers are, and who had it."""

from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.wording import measured

_ROWS = (
    ("first_receiver", "First receiver"),
    ("median_receiver", "Median receiver"),
    ("last_receiver", "Last receiver"),
    ("spread", "Spread, first to last"),
)


def _absent(dossier: Dossier, name: str) -> str:
    """Say why a figure is not there: the run's parameters do, if it is not for too few events."""
    return str(dossier.record.parameters.get(name) or "n too small")


@table(Section.DELIVERY)
def fan_out(dossier: Dossier) -> Table | None:
    """Return when an event's receivers had it; None where it was not followed over receivers."""
    if not any(dossier.metric(f"{name}_p50_us") for name, _ in _ROWS):
        return None
    rows = tuple(
        (
            label,
            *(
                measured(dossier.metric(f"{name}_{key}_us"), _absent(dossier, name))
                for key in ("p50", "p99")
            ),
        )
        for name, label in _ROWS
    )
    return Table(("Of each event", "p50", "p99"), rows, frozenset({1, 2}), _notes(dossier))


def _notes(dossier: Dossier) -> tuple[str, ...]:
    said = (
        "Each event is one sample, from the instant it was due; the spread is from its first"
        " receiver to its last."
    )
    reach = dossier.metric("reach_percent")
    if reach is None:
        return (said,)
    return (said, f"Reach: {measured(reach)} of what was owed to receivers came.")
