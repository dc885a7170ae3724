from hypothesis import given
from hypothesis import strategies as st

from loadtests.accounting.ledger import Ledger


@given(
    arrivals=st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=6), max_size=20),
    window=st.integers(0, 20),
    joined=st.integers(0, 20),
    end=st.integers(0, 41),
)
def test_counts_agree_with_a_list_of_everything_that_came(
    arrivals: list[list[int]], window: int, joined: int, end: int
) -> None:
    ledger = Ledger(window, joined)
    seen: list[int] = []
    duplicated = reordered = 0
    for batch in arrivals:
        expected_first = []
        for number in batch:
            if number < joined:
                continue
            if number in seen:
                duplicated += number >= window
                continue
            reordered += number >= window and any(number < other for other in seen)
            seen.append(number)
            expected_first.append(number)
        consecutive = batch == list(range(batch[0], batch[0] + len(batch)))
        assert list(ledger.admit(batch, consecutive)) == expected_first
    measured = range(max(window, joined), end)
    assert ledger.expected(end) == len(measured)
    assert ledger.received(end) == len(set(seen) & set(measured))
    assert (ledger.duplicated, ledger.reordered) == (duplicated, reordered)


def test_events_after_leaving_are_not_expected() -> None:
    ledger = Ledger(window=2)
    ledger.admit(range(6), consecutive=True)
    ledger.left = 5
    assert ledger.expected(10) == 3
    assert ledger.received(10) == 3


def test_what_arrives_after_leaving_counts_only_if_it_was_due_before() -> None:
    ledger = Ledger(window=0)
    ledger.admit(range(4), consecutive=True)
    ledger.left = 6
    assert ledger.missing(10) == [4, 5]
    assert list(ledger.admit([4, 6, 7], consecutive=False)) == [4]
    assert ledger.missing(10) == [5]
    assert (ledger.expected(10), ledger.received(10)) == (6, 5)
