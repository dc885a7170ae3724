"""Repeat by repeat: whether the run's figures hang on one lucky or unlucky repeat."""

from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.wording import quantity

_COLUMNS = (
    ("events_per_s", "Delivered rate"),
    ("response_mean_us", "Mean"),
    ("response_p99_us", "p99"),
    ("response_max_us", "Max"),
    ("deliveries_lost", "Lost"),
    ("send_lag_max_us", "Latest send"),
)


@table(Section.LATENCY)
def repeats(dossier: Dossier) -> Table | None:
    """Return the figures of each repeat; None with fewer than two."""
    found = dossier.record.repeats
    if len(found) < 2:
        return None
    rows = tuple(
        (
            f"{repeat.number}, {repeat.point}" if repeat.point else str(repeat.number),
            *(
                quantity(metric.value, metric.unit) if (metric := repeat.metrics.get(name)) else "–"
                for name, _ in _COLUMNS
            ),
            repeat.verdict.value,
        )
        for repeat in found
    )
    header = ("Repeat", *(label for _, label in _COLUMNS), "")
    notes = tuple(
        f"Repeat {repeat.number}: {reason}." for repeat in found for reason in repeat.reasons
    )
    return Table(header, rows, frozenset(range(len(header) - 1)), notes)
