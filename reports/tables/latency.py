"""Latency by percentile: what a client waits for an event, and how much of that is the service."""

from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.wording import measured, plural, quantity

_ROWS = (
    ("mean", "mean"),
    ("p50", "p50"),
    ("p90", "p90"),
    ("p99", "p99"),
    ("p999", "p99.9"),
    ("p9999", "p99.99"),
    ("max", "max"),
)


@table(Section.LATENCY)
def latency(dossier: Dossier) -> Table | None:
    """Return response time beside service time, by percentile."""
    if dossier.response is None:
        return None
    rows = tuple(
        (label, *(_cell(dossier, f"{kind}_{key}_us", key) for kind in ("response", "service")))
        for key, label in _ROWS
    )
    return Table(
        ("", "Response time", "Service time"),
        rows,
        numeric=frozenset({1, 2}),
        notes=_notes(dossier),
    )


def _cell(dossier: Dossier, name: str, key: str) -> str:
    absent = "n too small" if key.startswith("p") else "not measured"
    return measured(dossier.metric(name), absent)


def _notes(dossier: Dossier) -> tuple[str, ...]:
    assert dossier.response is not None  # noqa: S101 - the table is made only with one
    repeats = plural(len(dossier.response.repeats), "repeat")
    deliveries = f"{dossier.response.merged.count:,} deliveries"
    notes = [
        (
            "Response time runs from the instant an event was due until its bytes were read from"
            " the socket; service time from the instant it was sent. Where the two differ, the"
            " sender was held up."
        ),
        (
            f"Every delivery counts, none is sampled: {deliveries} in {repeats}. Each figure is"
            " the median of the repeats, the maximum that of all. Where fewer than ten"
            " independent events lie beyond a percentile, n is too small to give it."
        ),
    ]
    null = [
        f"{quantity(metric.value, metric.unit)} {words}"
        for key, words in (("mean", "on average"), ("p99", "at p99"))
        if (metric := dossier.metric(f"null_response_{key}_us")) is not None
    ]
    if null:
        notes.append(
            "What this machine adds by itself: a server that does nothing but broadcast had"
            f" {' and '.join(null)}, under the same load."
        )
    beyond = dossier.response.merged.out_of_range
    if beyond:
        notes.append(f"{beyond:,} deliveries lie outside the histogram's range.")
    return tuple(notes)
