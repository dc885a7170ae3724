"""The load generator's account of itself: what decides whether the run is believed."""

from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.wording import measured

_ROWS = (
    ("send_lag_p99_us", "Send lag, p99", "how late events were sent"),
    ("send_lag_max_us", "Send lag, most", "the latest of them"),
    ("receive_lag_mean_us", "Read lag, mean", "how late the receivers read what was there"),
    ("receive_lag_p99_us", "Read lag, p99", "the same, 99 of 100"),
    ("receive_lag_max_us", "Read lag, most", "the longest a byte can have waited to be read"),
    ("receive_unread_p99_bytes", "Unread, p99", "in all receive queues when it came to read"),
    ("receive_unread_max_bytes", "Unread, most", "the most that ever piled up in them"),
    ("receive_queue_fill_max_percent", "Fullest queue", "of its receive buffer"),
    ("generator_cpu_percent", "CPU, Locust", "of one core, in the window"),
    ("publisher_cpu_percent", "CPU, publisher", "of one core"),
    ("moves_lag_p99_us", "Moves lag, p99", "how late clients came and went"),
    ("null_response_mean_us", "Null server, mean", "what harness and host add by themselves"),
)


@table(Section.RESOURCES)
def generator(dossier: Dossier) -> Table | None:
    """Return how the generator kept up; None if the run is no load."""
    if dossier.record.kind != "load":
        return None
    rows = tuple(
        (label, measured(metric), meaning)
        for name, label, meaning in _ROWS
        if (metric := dossier.metric(name)) is not None
    )
    return (
        Table(("The generator", "Measured", "What it says"), rows, frozenset({1})) if rows else None
    )
