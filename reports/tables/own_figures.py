"""What only this scenario measures: time to recover, to connect, to be level, and the like.

Scenarios name their figures themselves, so they are known by what they are not: every figure of
a run that is common to all loads stands in another table or figure.
"""

from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.wording import measured

#: How the names of figures begin that every load has; a test holds it to what loads measure.
COMMON = (
    *("response_", "service_", "null_", "first_receiver_", "median_receiver_", "last_receiver_"),
    *("spread_", "reach_", "clients_held", "clients_offered", "clients_refused"),
    *("events_offered_", "events_per_s", "events_scheduled", "events_sent", "events_late"),
    *("events_dropped", "events_refused"),
    *("deliveries_expected", "deliveries_received", "deliveries_lost", "deliveries_thinned"),
    *("deliveries_duplicated", "deliveries_reordered", "deliveries_out_of_range"),
    *("deliveries_per_s", "send_lag_", "receive_", "moves_lag_", "host_", "clock_bound_"),
    *("generator_", "publisher_", "target_cpu_", "target_rss_median", "target_rss_peak"),
    "target_deaths",
)


@table(Section.OWN)
def own_figures(dossier: Dossier) -> Table | None:
    """Return the figures that only this scenario has; None if it has none or is no load."""
    record = dossier.record
    points = tuple(f"{repeat.point}_" for repeat in record.repeats if repeat.point)
    found = {
        name: metric
        for name, metric in record.metrics.items()
        if not name.startswith((*COMMON, *points))
    }
    if record.kind != "load" or not found:
        return None
    rows = tuple((words(name), measured(metric)) for name, metric in found.items())
    return Table(("Figure", "Measured"), rows, frozenset({1}))


def words(name: str) -> str:
    """Return a figure's name as words, without the unit its value is shown in."""
    for unit in ("_us", "_bytes_per_h", "_bytes", "_percent", "_per_s", "_s"):
        if name.endswith(unit):
            rate = " per second" if unit == "_per_s" else ""
            name = name.removesuffix(unit) + rate
            break
    text = name.replace("_", " ").replace("cpu", "CPU").replace("rss", "RSS")
    return text[:1].upper() + text[1:]
