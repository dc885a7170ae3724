"""Delivery accounting: every event and every delivery, with nothing left over."""

from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.wording import measured

_ROWS = (
    ("clients_offered", "Clients offered", "connections the load tried to hold"),
    ("clients_held", "Clients held", "stayed connected and received every event"),
    ("clients_refused", "Clients refused", "turned away by the target"),
    ("events_offered_per_s", "Offered rate", "events due in the window, per second"),
    ("events_per_s", "Delivered rate", "events that reached every subscriber, per second"),
    ("deliveries_per_s", "Delivery rate", "deliveries to all subscribers together, per second"),
    ("events_scheduled", "Events due", "in the measured windows"),
    ("events_sent", "Events sent", "handed to the socket"),
    ("events_late", "Events late", "sent later than the schedule allows"),
    ("events_dropped", "Events dropped", "never sent: the target did not read them"),
    ("events_refused", "Events refused", "answered with a refusal"),
    ("deliveries_expected", "Deliveries expected", "events due times subscribers"),
    ("deliveries_received", "Deliveries received", "first arrivals"),
    ("deliveries_lost", "Deliveries lost", "neither arrived nor announced as left out"),
    ("deliveries_thinned", "Deliveries thinned", "left out and announced by the target"),
    ("deliveries_duplicated", "Deliveries duplicated", "arrived again"),
    ("deliveries_reordered", "Deliveries reordered", "arrived after a later event"),
)


@table(Section.DELIVERY)
def throughput(dossier: Dossier) -> Table | None:
    """Return throughput and the exact count of what happened to each event."""
    rows = tuple(
        (label, measured(metric), meaning)
        for name, label, meaning in _ROWS
        if (metric := dossier.metric(name)) is not None
    )
    return Table(("", "Measured", "What it counts"), rows, frozenset({1})) if rows else None
