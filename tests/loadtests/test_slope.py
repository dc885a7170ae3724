import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.slope import LEAST_POINTS, theil_sen, troughs


@given(st.floats(-100, 100), st.floats(-1000, 1000), st.integers(LEAST_POINTS, 40))
def test_a_line_comes_back_exactly(slope: float, offset: float, count: int) -> None:
    found = theil_sen(range(count), [offset + slope * x for x in range(count)])
    assert found is not None
    assert found == pytest.approx((slope, slope, slope), abs=1e-6)


def test_a_fifth_of_wild_points_does_not_move_it() -> None:
    y = [3.0 * x for x in range(20)]
    y[4], y[9], y[15], y[19] = 1e9, -1e9, 1e9, 5e8
    found = theil_sen(range(20), y)
    assert found is not None
    assert found.value == pytest.approx(3.0, abs=0.5)
    assert found.low <= 3.0 <= found.high


def test_noise_without_a_slope_has_zero_within_its_interval() -> None:
    found = theil_sen(range(24), [(x * 7919) % 13 for x in range(24)])
    assert found is not None
    assert found.low < 0 < found.high


def test_too_few_points_say_nothing() -> None:
    assert theil_sen(range(LEAST_POINTS - 1), range(LEAST_POINTS - 1)) is None


def test_troughs_are_the_lowest_of_each_stretch_and_leave_out_what_is_before() -> None:
    x = list(range(12))
    y = [0, 0, 9, 5, 9, 7, 6, 9, 9, 8, 9, 3]
    assert troughs(x, [float(one) for one in y], 2, 11, 3) == ([3, 6, 9], [5, 6, 8])
