from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loadtests.accounting.ledger import Ledger
from loadtests.accounting.part import Audience
from loadtests.accounting.spread import Spread, of_several
from loadtests.schedule.timetable import Timetable

EVENTS = 6


def timetable(folder: Path) -> Timetable:
    path = folder / "timetable"
    path.unlink(missing_ok=True)
    return Timetable.create(path, np.zeros(EVENTS, dtype=np.int64), 0)


@given(
    orders=st.lists(st.permutations(range(EVENTS)), min_size=1, max_size=7),
    batch=st.integers(1, 9),
    missing=st.integers(0, EVENTS),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_first_median_last_and_spread_agree_with_sorting_every_events_arrivals(
    tmp_path: Path, orders: list[list[int]], batch: int, missing: int
) -> None:
    """Each receiver gets every event once, in an order of its own; the last one misses some."""
    receivers = len(orders)
    arrivals = [
        (event, (turn * receivers + receiver) * 1_000_000)
        for turn in range(EVENTS)
        for receiver, order in enumerate(orders)
        for event in [order[turn]]
        if receiver < receivers - 1 or turn >= missing
    ]
    spread = Spread(timetable(tmp_path))
    spread.median_rank = (receivers + 1) // 2
    for start in range(0, len(arrivals), batch):
        numbers, stamps = zip(*arrivals[start : start + batch], strict=True)
        spread.add(np.array(numbers), np.array(stamps))
    came = [sorted(at for event, at in arrivals if event == one) for one in range(EVENTS)]
    assert spread.arrivals.tolist() == [len(one) for one in came]
    complete = spread.arrivals == receivers
    found = spread.figures(0, complete)
    whole = [one for one in came if len(one) == receivers]
    expected = {
        "first_receiver": sum(one[0] for one in came if one),
        "median_receiver": sum(
            one[spread.median_rank - 1] for one in came if len(one) >= spread.median_rank
        ),
        "last_receiver": sum(one[-1] for one in whole),
        "spread": sum(one[-1] - one[0] for one in whole),
    }
    assert {name: recorder.sum_ns for name, recorder in found.items()} == expected


@given(
    came=st.lists(st.tuples(st.integers(0, EVENTS - 1), st.integers(0, 5)), unique=True),
    processes=st.integers(2, 4),
    low=st.integers(0, EVENTS),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_receivers_divided_among_processes_come_to_what_one_process_says(
    tmp_path: Path, came: list[tuple[int, int]], processes: int, low: int
) -> None:
    """Receiver r is process r % n's; the arrivals are in the order in which they are listed."""
    whole, *parts = (Spread(timetable(tmp_path)) for _ in range(processes + 1))
    for at, (event, receiver) in enumerate(came):
        number, stamp = np.array([event]), np.array([1_000_000 * (at - 3)])
        whole.add(number, stamp)
        parts[receiver % processes].add(number, stamp)
    audience = max(1, len({receiver for _, receiver in came}))
    complete = whole.arrivals[low:] == audience
    events = EVENTS - low
    found = of_several([one.extremes(low, events) for one in parts], complete)
    expected = whole.figures(low, complete)
    assert {name: one.state() for name, one in found.items()} == {
        name: one.state() for name, one in expected.items() if name != "median_receiver"
    }


@given(
    stays=st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(0, 9)), max_size=5),
    void=st.sets(st.integers(0, 9)),
    end=st.integers(0, 10),
    window=st.integers(0, 5),
)
def test_an_audience_owes_each_event_to_who_was_there_and_void_ones_to_nobody(
    stays: list[tuple[int, int | None]], void: set[int], end: int, window: int
) -> None:
    ledgers = [Ledger(window, joined) for joined, _ in stays]
    for ledger, (_, left) in zip(ledgers, stays, strict=True):
        ledger.left = left
    is_void = np.array([number in void for number in range(10)])
    audience = Audience(ledgers, end, is_void, ~is_void)

    def there(ledger: Ledger, number: int) -> bool:
        stays_on = ledger.left is None or number < ledger.left
        return max(window, ledger.joined) <= number < end and stays_on and number not in void

    sizes = [sum(there(one, number) for one in ledgers) for number in range(end)]
    assert audience.size.tolist() == sizes
    for ledger in ledgers:
        owed = sum(there(ledger, number) for number in range(end))
        assert audience.owed(ledger) == audience.missing(ledger) == owed
