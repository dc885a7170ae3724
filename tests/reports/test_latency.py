import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.latency import distribution
from tests.reports.synthetic import histogram

latencies = st.lists(st.integers(1, 3_000_000), min_size=1, max_size=200)
THREE_DIGITS = 1.001  # a bucket's upper end is at most this far above a value in it


@given(latencies, st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999, 1.0]))
def test_a_percentile_is_the_value_of_that_rank_to_three_digits(values, fraction):
    merged = distribution([histogram("response", 1, np.array(values))])
    rank = max(1, int(np.ceil(fraction * len(values) - 1e-9)))
    exact = sorted(values)[rank - 1]
    assert exact <= merged.percentile(fraction) <= exact * THREE_DIGITS


@given(st.lists(latencies, min_size=1, max_size=4))
def test_merging_repeats_is_the_same_as_measuring_them_as_one(repeats):
    parts = [histogram("response", n, np.array(part)) for n, part in enumerate(repeats, 1)]
    merged = distribution(parts)
    whole = distribution([histogram("response", 1, np.concatenate(repeats))])
    assert merged.values.tolist() == whole.values.tolist()
    assert merged.counts.tolist() == whole.counts.tolist()
    assert (merged.count, merged.sum, merged.min, merged.max) == (
        whole.count,
        whole.sum,
        whole.min,
        whole.max,
    )


@given(latencies)
def test_the_curve_rises_to_the_exact_maximum_at_one_in_n(values):
    odds, latency = distribution([histogram("response", 1, np.array(values))]).curve()
    assert (np.diff(odds) >= 0).all()
    assert (np.diff(latency) >= 0).all()
    assert (odds[0], odds[-1], latency[-1]) == (1.0, len(values), max(values))


def test_the_mean_comes_from_the_exact_sum_not_from_buckets():
    assert distribution([histogram("response", 1, np.array([5001, 5002]))]).mean == 5001.5


def test_values_out_of_range_count_as_the_slowest():
    import msgspec

    inside = histogram("response", 1, np.arange(1, 99))
    beyond = msgspec.structs.replace(inside, count=100, max=10**12, out_of_range=2)
    merged = distribution([beyond])
    assert merged.percentile(0.98) == 98
    assert merged.percentile(0.99) == 10**12
    odds, values = merged.curve()
    assert (odds[-2], values[-2]) == (50.0, 10**12)


def test_no_values_is_no_distribution():
    assert distribution([histogram("response", 1, np.array([], np.int64))]) is None
    assert distribution([]) is None


def test_histograms_of_different_units_are_not_merged():
    import msgspec

    one = histogram("response", 1, np.array([1]))
    with pytest.raises(ValueError, match="different units"):
        distribution([one, msgspec.structs.replace(one, unit="ms")])
