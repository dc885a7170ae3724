from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loadtests.accounting.ledger import Ledger
from loadtests.accounting.part import Audience
from loadtests.accounting.thinning import Notice, excused

EVENTS = 20


def which(missing: list[int], notices: list[Notice], unsent: tuple[int, ...] = ()) -> list[int]:
    sent = np.ones(EVENTS, dtype=np.int64)
    sent[list(unsent)] = 0
    before = np.concatenate(([0], np.cumsum(sent)))
    return excused(np.array(missing, dtype=np.int64), notices, before).tolist()


def test_a_notice_excuses_the_stretch_it_speaks_of_and_nothing_after() -> None:
    assert which([3, 4, 5, 12], [Notice(2, 3, 4)]) == [3, 4, 5]
    assert which([3, 12, 13], [Notice(2, 3, 4)]) == [3]


def test_a_notice_excuses_as_many_as_it_says() -> None:
    assert which([3, 4, 5, 6], [Notice(2, 2, 10)]) == [3, 4]


def test_what_was_never_sent_takes_no_part_of_a_stretch() -> None:
    assert which([3, 6, 7], [Notice(2, 3, 3)], unsent=(4, 5)) == [3, 6, 7]


def test_without_a_span_a_notice_is_spent_on_the_earliest_that_are_missing() -> None:
    # Said before what was left out, or after it.
    assert which([3, 4, 12], [Notice(2, 2, None)]) == [3, 4]
    assert which([3, 4, 12], [Notice(6, 2, None)]) == [3, 4]
    assert which([3, 4, 12], [Notice(2, 2, 2), Notice(9, 1, None)]) == [3, 4, 12]


@given(
    missing=st.sets(st.integers(0, EVENTS - 1), max_size=7),
    notices=st.lists(
        st.tuples(st.integers(-1, 15), st.integers(0, 3), st.integers(1, 6)), max_size=3
    ),
)
def test_no_choice_of_excuses_covers_more(
    missing: set[int], notices: list[tuple[int, int, int]]
) -> None:
    said = [Notice(*one) for one in sorted(notices)]
    places = [one for one in said for _ in range(one.omitted)]

    def covers(chosen: tuple[int, ...], left: list[Notice]) -> bool:
        """Try every way to pay for the events one after the other."""
        if not chosen:
            return True
        number, *rest = chosen
        fits = [one for one in set(left) if one.after < number <= one.after + (one.span or 0)]
        return any(covers(tuple(rest), _without(left, one)) for one in fits)

    found = which(sorted(missing), said)
    assert covers(tuple(found), places)
    larger = combinations(sorted(missing), len(found) + 1)
    assert not any(covers(one, places) for one in larger)


def _without(left: list[Notice], one: Notice) -> list[Notice]:
    rest = list(left)
    rest.remove(one)
    return rest


def test_a_notice_of_the_warm_up_does_not_pay_for_a_loss_in_the_window() -> None:
    ledger = Ledger(window=10)
    ledger.admit([0, 1], consecutive=True)
    ledger.announced(-1, 3, 3)  # of 2, 3 and 4
    ledger.admit([*range(5, 12), *range(13, EVENTS)], consecutive=False)
    nothing, everything = np.zeros(EVENTS, dtype=bool), np.ones(EVENTS, dtype=bool)
    audience = Audience([ledger], EVENTS, nothing, everything)
    assert (audience.missing(ledger), audience.thinned(ledger)) == (1, 0)
    ledger.announced(-1, 1, 1)  # of what comes after everything: of nothing that is missing
    assert audience.thinned(ledger) == 0


def test_a_notice_inside_a_chunk_stands_behind_the_events_before_it() -> None:
    ledger = Ledger(window=0)
    ledger.announced(4, 2, 2)  # the chunk's first five events, of which none is booked yet
    ledger.admit([0, 1, 2, 3, 4, 7], consecutive=False)
    nothing, everything = np.zeros(EVENTS, dtype=bool), np.ones(EVENTS, dtype=bool)
    audience = Audience([ledger], 8, nothing, everything)
    assert (audience.missing(ledger), audience.thinned(ledger)) == (2, 2)
