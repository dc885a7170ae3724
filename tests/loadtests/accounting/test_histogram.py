import msgspec
import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from loadtests.accounting.histogram import BUCKETS, HIGHEST_US, UPPER_US, Recorder, bucket_index

micros = st.lists(
    st.one_of(st.integers(0, 5000), st.integers(0, HIGHEST_US)), min_size=1, max_size=200
)


def recorder_of(values_us: list[int]) -> Recorder:
    recorder = Recorder()
    recorder.record(np.array(values_us, dtype=np.int64) * 1000)
    return recorder


@given(micros)
def test_buckets_are_those_of_record_value(values: list[int]) -> None:
    theirs = HdrHistogram(1, HIGHEST_US, 3)
    for value in values:
        assert theirs.record_value(value)
    ours = recorder_of(values)
    assert [theirs.get_count_at_index(index) for index in range(BUCKETS)] == ours.counts.tolist()


def test_upper_edges_are_hdr_histograms_own() -> None:
    theirs = HdrHistogram(1, HIGHEST_US, 3)
    for index in range(0, BUCKETS, 37):
        value = theirs.get_value_from_index(index)
        assert theirs.get_highest_equivalent_value(value) == UPPER_US[index]
        assert bucket_index(np.array([value]))[0] == index


@given(micros)
def test_the_exported_histogram_decodes_to_the_same_counts(values: list[int]) -> None:
    recorder = recorder_of(values)
    exported = recorder.export("response", 1)
    decoded = HdrHistogram.decode(exported.encoded)
    assert decoded.get_total_count() == len(values)
    assert exported.count == len(values)
    assert exported.sum == sum(values)
    assert (exported.min, exported.max) == (min(values), max(values))
    for percent in (50, 99):
        theirs = decoded.get_value_at_percentile(percent)
        mine = recorder.percentile_us(percent)
        assert mine is not None
        # The library rounds ranks differently by at most one value.
        order = sorted(values)
        rank = int(np.ceil(len(order) * percent / 100)) - 1
        assert order[rank] <= mine <= order[rank] * 1.002 + 1
        assert theirs >= 0


def test_negative_and_endless_latencies_are_counted_and_never_clamped() -> None:
    recorder = Recorder()
    recorder.record(np.array([-5_000, 2_000, (HIGHEST_US + 1) * 1000], dtype=np.int64))
    assert recorder.count == 3
    assert recorder.out_of_range == 2
    assert recorder.counts.sum() == 1
    assert recorder.min_ns == -5_000
    assert recorder.max_us == HIGHEST_US + 1
    assert recorder.sum_ns == -5_000 + 2_000 + (HIGHEST_US + 1) * 1000


@given(micros, micros)
def test_merging_is_recording_everything_in_one(first: list[int], second: list[int]) -> None:
    merged = recorder_of(first)
    merged.merge(recorder_of(second))
    assert merged.state() == recorder_of(first + second).state()


@given(micros)
def test_a_recorder_survives_the_way_to_another_process(values: list[int]) -> None:
    state = recorder_of(values).state()
    there = Recorder.restore(msgspec.json.decode(msgspec.json.encode(state)))
    assert there.state() == state


def test_the_mean_is_exact_where_buckets_would_round() -> None:
    recorder = recorder_of([1_000_003, 1_000_001])
    assert recorder.mean_us == pytest.approx(1_000_002, abs=1e-9)


def test_nothing_recorded_has_no_figures() -> None:
    empty = Recorder()
    assert (empty.mean_us, empty.max_us, empty.percentile_us(50)) == (None, None, None)
