"""Offsets of other hosts' clocks, estimated from four timestamps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.processes.clocks import Offset, Probe, clock_of_this_process, estimate, over_time
from monitor.contract.verdicts import NoVerdictError

DELAY = st.integers(0, 10_000_000)


def probe(offset: int, asked: int, out: int, there: int, back: int) -> Probe:
    """One probe of a clock this far ahead, with these delays on the way and over there."""
    heard = asked + out + offset
    return Probe(asked, heard, heard + there, asked + out + there + back)


@given(
    st.integers(-(10**15), 10**15),
    st.lists(st.tuples(DELAY, DELAY, DELAY), min_size=1, max_size=20),
)
def test_the_truth_is_never_farther_off_than_the_bound(
    offset: int, delays: list[tuple[int, int, int]]
) -> None:
    found = estimate([probe(offset, 10**9 * at, *delay) for at, delay in enumerate(delays)])
    assert abs(found.offset_ns - offset) <= found.bound_ns + 1
    # No worse than the quickest round trip, which is what a minimum-delay filter goes by.
    assert found.bound_ns <= min(out + back for out, _, back in delays) // 2 + 1


def test_the_quickest_way_there_and_the_quickest_back_may_be_different_probes() -> None:
    probes = [probe(500, 0, 10, 5, 9_000), probe(500, 10_000, 8_000, 5, 30)]
    found = estimate(probes)
    assert (found.offset_ns, found.bound_ns) == (490, 20)


def test_a_clock_that_jumped_is_no_clock() -> None:
    probes = [probe(0, 0, 10, 0, 10), probe(1_000_000, 1_000, 10, 0, 10)]
    with pytest.raises(NoVerdictError, match="no offset fits all 2 probes"):
        estimate(probes)


def test_no_answer_is_no_offset() -> None:
    with pytest.raises(NoVerdictError, match="answered no probe"):
        estimate([])


def test_drift_widens_the_bound_of_the_offset_that_was_used() -> None:
    assert over_time(Offset(100, 20), Offset(160, 30)) == Offset(100, 90)
    assert over_time(Offset(100, 20), Offset(100, 5)) == Offset(100, 20)


def test_this_process_reads_one_clock() -> None:
    assert clock_of_this_process() == clock_of_this_process()
