import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.schedule.curve import instants, mean, peak, steps, value_at, warp

CONSTANT = ((0.0, 100.0),)
LINE = ((0.0, 0.0), (10.0, 100.0))


def test_a_value_lies_on_the_line_between_corners_and_stays_beyond_them() -> None:
    assert [value_at(LINE, at) for at in (-1, 0, 2.5, 10, 99)] == [0, 0, 25, 100, 100]
    assert peak(LINE) == 100
    assert mean(LINE, 0, 10) == pytest.approx(50)
    assert mean(LINE, -2, 10) == pytest.approx(500 / 12)


def test_a_constant_curve_moves_nothing() -> None:
    due_s = np.array([0.0, 0.01, 0.5, 3.0])
    assert warp(due_s, 100.0, CONSTANT, -1.0, 4.0) == pytest.approx(due_s, abs=1e-9)


@given(st.floats(1, 500), st.floats(1, 500), st.floats(2, 20))
def test_a_warped_schedule_has_as_many_events_in_every_stretch_as_the_curve(
    low: float, high: float, window_s: float
) -> None:
    curve = ((0.0, low), (window_s, high))
    rate = peak(curve)
    even = np.arange(int(rate * (window_s + 1)) + 1) / rate
    due_s = warp(even, rate, curve, -1.0, window_s)
    assert np.all(np.diff(due_s) >= 0)
    for until in np.linspace(0, window_s, 7):
        offered = (until + 1) * mean(curve, -1.0, until)
        assert int((due_s - 1.0 < until).sum()) == pytest.approx(offered, abs=1.5)


def test_level_stretches_are_level() -> None:
    curve = steps([(0, 4, 10.0), (4, 6, 50.0), (6, 10, 10.0)])
    assert [value_at(curve, at) for at in (0, 3.9, 4.1, 5.9, 6.1, 10)] == [10, 10, 50, 50, 10, 10]


def test_instants_are_one_for_each_whole_event_of_the_curve() -> None:
    assert instants(((0.0, 2.0),), 0.0, 2.0) == pytest.approx([0.0, 0.5, 1.0, 1.5])
