from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.search import CONFIRMATIONS, RESOLUTION, Trial, most


def search(start: int, limit: int, holds: Callable[[Trial], bool]) -> tuple[int, list[Trial]]:
    trials: list[Trial] = []
    steps = most(start, limit)
    try:
        trials.append(next(steps))
        while True:
            trials.append(steps.send(holds(trials[-1])))
    except StopIteration as ended:
        return ended.value, trials


@given(st.integers(1, 500), st.integers(1, 10_000), st.integers(1, 10_000))
def test_what_is_found_holds_and_a_tenth_more_does_not(
    start: int, limit: int, most_held: int
) -> None:
    found, trials = search(start, limit, lambda trial: trial.value <= most_held)
    assert all(1 <= trial.value <= limit for trial in trials)
    assert found <= min(most_held, limit)
    assert found >= min(most_held, limit) - max(1, RESOLUTION * most_held) - 1
    assert sum(trial == Trial(found, confirming=True) for trial in trials) in {0, CONFIRMATIONS}


def test_what_cannot_be_confirmed_is_not_claimed() -> None:
    found, trials = search(50, 1000, lambda trial: trial.value <= (80 if trial.confirming else 100))
    assert 0 < found <= 80
    assert trials[-CONFIRMATIONS:] == [Trial(found, confirming=True)] * CONFIRMATIONS


@pytest.mark.parametrize("start", [1, 50])
def test_nothing_that_holds_is_zero(start: int) -> None:
    assert search(start, 1000, lambda _: False)[0] == 0
