import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.contract.evidence import Metric
from reports.wording import measured, plural, quantity, significant, tick


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (912.4, "us", "0.912 ms"),
        (87.0, "us", "87.0 µs"),
        (12_345, "us", "12.3 ms"),
        (2_500_000, "us", "2.50 s"),
        (999.96, "us", "1.00 ms"),
        (1099.7, "events/s", "1,100/s"),
        (41_234_567, "bytes", "41.2 MB"),
        (2_749_965, "deliveries", "2,749,965"),
        (50, "clients", "50"),
        (0, "bytes", "0 B"),
        (38.25, "percent", "38.2 %"),
        (1.5, "furlongs", "1.50 furlongs"),
    ],
)
def test_a_quantity_reads_in_three_digits_and_a_count_in_all(value, unit, words):
    assert quantity(value, unit) == words


def test_a_figure_never_reads_the_same_as_a_bound_it_missed():
    assert quantity(4_999.2, "us", 5_000) == "4.999 ms"
    assert quantity(5_000, "us", 5_000) == "5.00 ms"
    assert quantity(100_010_000, "bytes", 100_000_000) == "100.01 MB"


@given(st.floats(1e-6, 1e12))
def test_rounding_to_three_digits_moves_a_value_by_half_a_digit_at_most(value):
    assert float(significant(value, 3).replace(",", "")) == pytest.approx(value, rel=0.00501)


def test_an_interval_stands_beside_its_figure_in_the_same_unit():
    metric = Metric(912.0, "us", interval=(894.0, 1031.0))
    assert measured(metric) == "0.912 ms [0.894–1.03 ms]"
    assert measured(Metric(5.0, "clients", interval=(5.0, 5.0))) == "5"
    assert measured(None, "n too small") == "n too small"


def test_a_tick_has_no_digits_it_does_not_need():
    assert [tick(value, "us") for value in (50, 200, 5_000)] == ["50 µs", "0.2 ms", "5 ms"]


def test_one_has_no_plural():
    assert (plural(1, "repeat"), plural(5, "repeat")) == ("1 repeat", "5 repeats")
