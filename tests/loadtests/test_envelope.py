from hypothesis import given
from hypothesis import strategies as st

from loadtests.envelope import most_at_once, most_in_window

SPANS = st.lists(
    st.tuples(st.integers(0, 200), st.integers(0, 30)).map(lambda one: (one[0], sum(one))),
    max_size=30,
)


@given(SPANS, st.integers(1, 80))
def test_a_window_holds_what_was_asked_and_answered_within_it(
    spans: list[tuple[int, int]], window: int
) -> None:
    by_hand = max(
        (sum(asked <= other and at < asked + window for other, at in spans) for asked, _ in spans),
        default=0,
    )
    assert most_in_window(spans, window) == by_hand


@given(SPANS)
def test_held_at_once_agrees_with_counting_at_every_instant(spans: list[tuple[int, int]]) -> None:
    by_hand = max((sum(a <= at < b for a, b in spans) for at in range(240)), default=0)
    assert most_at_once(spans) == by_hand


def test_one_over_the_promise_is_seen_and_one_straddling_the_edge_is_not() -> None:
    assert most_in_window([(at, at + 1) for at in range(101)], 102) == 101
    assert most_in_window([(0, 1), (95, 105)], 100) == 1
