"""Sums up what one Locust process counted in one repeat."""

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from loadtests.accounting.histogram import Integers, Recorder
from loadtests.accounting.latencies import INTERVAL_NS, Latencies
from loadtests.accounting.ledger import Ledger
from loadtests.accounting.thinning import excused
from loadtests.results import Admission, IntervalPart, Part, Slow
from loadtests.schedule.timetable import SENT, Timetable
from loadtests.subscriber import Subscriber


class Audience:
    """Which events which ledgers were there for; `void` events were owed to nobody.

    `sent` tells of each event whether it was: the service can have left out no other.
    """

    def __init__(
        self,
        ledgers: Sequence[Ledger],
        end: int,
        void: NDArray[np.bool_],
        sent: NDArray[np.bool_],
    ) -> None:
        self._is_void = void
        self._sent = sent
        self._sent_before = np.concatenate(([0], np.cumsum(sent)))
        self._void = np.concatenate(([0], np.cumsum(void)))
        self._end = end
        steps = np.zeros(end + 1, dtype=np.int64)
        for ledger in ledgers:
            low, high = min(ledger.start, end), ledger.stop(end)
            if high > low:
                steps[low] += 1
                steps[high] -= 1
        #: For each event before `end`: how many should have it.
        self.size: Integers = np.cumsum(steps)[:end]
        self.size[void[:end]] = 0

    def owed(self, ledger: Ledger) -> int:
        """Count the events one subscriber was there for and owed."""
        low, high = min(ledger.start, self._end), ledger.stop(self._end)
        return max(0, high - low - int(self._void[high] - self._void[low])) if high > low else 0

    def missing(self, ledger: Ledger) -> int:
        """Count those of them that did not come."""
        absent = ledger.missing(self._end)
        return len(absent) - int(self._is_void[absent].sum()) if absent else 0

    def thinned(self, ledger: Ledger) -> int:
        """Count those of them that the service announced it left out."""
        if not ledger.notices:
            return 0
        absent = np.array(ledger.absent(self._end), dtype=np.int64)
        absent = absent[self._sent[absent] & ~self._is_void[absent]]
        chosen = excused(absent, ledger.notices, self._sent_before)
        return int((chosen >= ledger.start).sum())


def measure(
    subscribers: Sequence[Subscriber],
    strangers: Sequence[Admission],
    latencies: Latencies,
    clients_at: dict[int, int],
    end: int,
    void: NDArray[np.bool_],
    cpu_percent: float,
    *,
    divided: bool = False,
) -> Part:
    """Sum up one process: `end` is the first event that is not measured any more.

    `divided`: other processes have clients too, so each event's first and last arrival go along.

    What the service announced as thinned excuses deliveries that did not come, in the stretch
    each announcement speaks of, never more. A resumed connection has the ledger of
    the one before it, which is counted once.
    """
    latencies.finish()
    there = [one for one in subscribers if one.admitted and not one.aside]
    newest = {id(one.ledger): one for one in there}
    sent = (latencies.timetable.fate & SENT) > 0
    audience = Audience([one.ledger for one in newest.values()], end, void, sent)
    counts: Counter[str] = Counter()
    held = 0
    for one in newest.values():
        counted = _count(one.ledger, audience)
        counts.update(counted)
        held += one.ready and counted["received"] == counted["expected"] > 0
    first = latencies.timetable.window_first
    arrivals = latencies.spread.arrivals[first:end]
    complete = (arrivals >= audience.size[first:end]) & (arrivals > 0)
    fanout = latencies.spread.figures(first, complete)
    return Part(
        expected=counts["expected"],
        received=counts["received"],
        thinned=counts["thinned"],
        lost=counts["lost"],
        duplicated=counts["duplicated"],
        reordered=counts["reordered"],
        offered=len({one.seat for one in subscribers}),
        admitted=len({one.seat for one in subscribers if one.admitted}),
        refused=sum(not one.admitted and one.who != "return" for one in subscribers),
        held=held,
        response=latencies.response.state(),
        service=latencies.service.state(),
        complete=np.packbits(complete).tobytes(),
        intervals=_intervals(latencies, clients_at, end, audience),
        admissions=(*map(admission, subscribers), *strangers),
        cpu_percent=cpu_percent,
        fanout={name: recorder.state() for name, recorder in fanout.items()},
        extremes=latencies.spread.extremes(first, len(complete)) if divided else b"",
        slow=_slow([one for one in subscribers if one.admitted and one.aside], end, void, sent),
        void=int(void[first:end].sum()),
    )


def nothing() -> Part:
    """Return the part of a process that had no clients."""
    empty = Recorder().state()
    return Part(
        offered=0,
        admitted=0,
        refused=0,
        held=0,
        expected=0,
        received=0,
        thinned=0,
        lost=0,
        duplicated=0,
        reordered=0,
        response=empty,
        service=empty,
        complete=b"",
        intervals={},
        admissions=(),
        cpu_percent=0.0,
    )


def _count(ledger: Ledger, audience: Audience) -> dict[str, int]:
    expected, missing = audience.owed(ledger), audience.missing(ledger)
    thinned = audience.thinned(ledger)
    return {
        "expected": expected,
        "received": expected - missing,
        "thinned": thinned,
        "lost": missing - thinned,
        "duplicated": ledger.duplicated,
        "reordered": ledger.reordered,
    }


def _slow(
    aside: Sequence[Subscriber], end: int, void: NDArray[np.bool_], sent: NDArray[np.bool_]
) -> Slow:
    audience = Audience([one.ledger for one in aside], end, void, sent)
    counts: Counter[str] = Counter()
    for one in aside:
        counts.update(_count(one.ledger, audience))
    return Slow(
        clients=len(aside),
        expected=counts["expected"],
        received=counts["received"],
        thinned=counts["thinned"],
        lost=counts["lost"],
        duplicated=counts["duplicated"],
        closed=sum(one.dropped for one in aside),
    )


def admission(one: Subscriber, due_ns: int = 0, who: str = "", shown: str = "") -> Admission:
    """Return how one connection attempt went."""
    return Admission(
        at_ns=one.settled_at_ns,
        address=one.address or "",
        admitted=one.admitted,
        answer=one.connection.answer,
        began_ns=one.began_at_ns,
        due_ns=due_ns or one.due_ns,
        ended_ns=one.ended_at_ns,
        who=who or one.who,
        shown=shown,
        recovered=one.connection.recovered,
    )


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
    latencies: Latencies, clients_at: dict[int, int], end: int, audience: Audience
) -> dict[int, IntervalPart]:
    edges = interval_edges(latencies.timetable, latencies.window_start_ns, end)
    parts: dict[int, IntervalPart] = {}
    clients = 0
    for number, (low, high) in enumerate(edges):
        found = latencies.intervals.get(number)
        clients = clients_at.get(number, clients)
        parts[number] = IntervalPart(
            clients=clients,
            expected=int(audience.size[low:high].sum()),
            received=found.count if found else 0,
            response=dict(found.response) if found else {},
            service=dict(found.service) if found else {},
            response_max_ns=found.response_max_ns if found else 0,
        )
    return parts
