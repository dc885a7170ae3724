"""The timer wheel against a simple model: a dictionary of deadlines."""

from hypothesis import given
from hypothesis import strategies as st

from monitor.wheel import Wheel

steps = st.lists(
    st.one_of(
        st.tuples(st.just("watch"), st.integers(0, 5), st.floats(0, 10)),
        st.tuples(st.just("forget"), st.integers(0, 5), st.just(0.0)),
        st.tuples(st.just("sweep"), st.just(0), st.floats(0, 3)),
    )
)


@given(steps, st.floats(0, 1e6))
def test_no_deadline_comes_early_and_none_later_than_a_tick_after_the_sweep(steps, start):
    now = start
    wheel: Wheel[int] = Wheel(0.1, now)
    deadlines: dict[int, float] = {}
    for action, item, value in steps:
        if action == "watch":
            deadline = now + value
            wheel.watch(item, deadline)
            deadlines[item] = min(deadline, deadlines.get(item, deadline))
        elif action == "forget":
            wheel.forget(item)
            deadlines.pop(item, None)
        else:
            now += value
            for due in wheel.due(now):
                assert deadlines.pop(due) <= now + 1e-6
            assert all(deadline > now - 0.21 for deadline in deadlines.values())
        assert len(wheel) == len(deadlines)


def test_a_long_pause_costs_no_walk_over_empty_ticks():
    wheel: Wheel[str] = Wheel(0.1, 0.0)
    wheel.watch("late", 1e9)
    assert wheel.due(1e9 + 1) == ["late"]
