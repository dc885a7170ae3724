"""Sums up what one Locust process counted in one repeat."""

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np

from loadtests.latencies import INTERVAL_NS, Latencies
from loadtests.receivers import Subscriber
from loadtests.results import Admission, IntervalPart, Part
from loadtests.timetable import Timetable

_COUNTS = (
    "offered",
    "admitted",
    "refused",
    "held",
    "expected",
    "received",
    "thinned",
    "lost",
    "duplicated",
    "reordered",
)


def measure(
    subscribers: Sequence[Subscriber],
    latencies: Latencies,
    clients_at: dict[int, int],
    end: int,
    cpu_percent: float,
    rss_bytes: int,
) -> Part:
    """Sum up one process: `end` is the first event that is not measured any more.

    What the service announced as thinned excuses deliveries that did not come, never more:
    announcements may include events outside the window.
    """
    latencies.finish()
    there = [one for one in subscribers if one.admitted]
    counts: Counter[str] = Counter(dict.fromkeys(_COUNTS, 0))
    for one in there:
        ledger = one.ledger
        expected, received = ledger.expected(end), ledger.received(end)
        thinned = min(ledger.thinned, expected - received)
        counts["expected"] += expected
        counts["received"] += received
        counts["thinned"] += thinned
        counts["lost"] += expected - received - thinned
        counts["duplicated"] += ledger.duplicated
        counts["reordered"] += ledger.reordered
        counts["held"] += one.ready and received == expected > 0
    counts["offered"] = len(subscribers)
    counts["admitted"] = len(there)
    counts["refused"] = len(subscribers) - len(there)
    first = latencies.timetable.window_first
    complete = latencies.arrivals[first:end] >= max(1, len(there))
    return Part(
        **counts,
        response=latencies.response.state(),
        service=latencies.service.state(),
        complete=np.packbits(complete).tobytes(),
        intervals=_intervals(there, latencies, clients_at, end),
        admissions=tuple(_admission(one) for one in subscribers),
        cpu_percent=cpu_percent,
        rss_bytes=rss_bytes,
    )


def _admission(one: Subscriber) -> Admission:
    answer = one.connection.answer
    return Admission(one.settled_at_ns, one.address or "", one.admitted, answer)


def interval_edges(timetable: Timetable, window_start_ns: int, end: int) -> list[tuple[int, int]]:
    """Return the range of measured events due in each interval of the window."""
    first = timetable.window_first
    if end <= first:
        return []
    last = int((timetable.due_ns[end - 1] - window_start_ns) // INTERVAL_NS)
    edges = window_start_ns + INTERVAL_NS * np.arange(last + 2)
    numbers = np.clip(np.searchsorted(timetable.due_ns, edges), first, end).tolist()
    return list(itertools.pairwise(numbers))


def _intervals(
    there: Sequence[Subscriber], latencies: Latencies, clients_at: dict[int, int], end: int
) -> dict[int, IntervalPart]:
    edges = interval_edges(latencies.timetable, latencies.window_start_ns, end)
    spans = [
        (one.ledger.joined, end if one.ledger.left is None else one.ledger.left) for one in there
    ]
    parts: dict[int, IntervalPart] = {}
    clients = 0
    for number, (low, high) in enumerate(edges):
        found = latencies.intervals.get(number)
        clients = clients_at.get(number, clients)
        expected = sum(max(0, min(high, left) - max(low, joined)) for joined, left in spans)
        parts[number] = IntervalPart(
            clients=clients,
            expected=expected,
            received=found.count if found else 0,
            response=dict(found.response) if found else {},
            service=dict(found.service) if found else {},
            response_max_ns=found.response_max_ns if found else 0,
        )
    return parts
