"""Parts of several processes add up to what one process would have counted."""

import zlib

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from loadtests.accounting.histogram import Recorder
from loadtests.accounting.part import nothing
from loadtests.processes.merging import merge, on_our_clock, without_service
from loadtests.results import Admission, IntervalPart, Part

VALUES = st.lists(st.integers(-5_000_000, 4_000_000_000_000), min_size=1, max_size=50)


def recorder(values: list[int]) -> Recorder:
    found = Recorder()
    found.record(np.array(values, dtype=np.int64))
    return found


def part(values: list[int], complete: bytes = b"\xff", clients: int = 2) -> Part:
    state = recorder(values).state()
    interval = IntervalPart(clients, 3, len(values), {5: 1, 7: 2}, {5: 3}, max(values))
    return msgspec.structs.replace(
        nothing(),
        offered=clients,
        admitted=clients,
        held=clients,
        expected=len(values) + 1,
        received=len(values),
        lost=1,
        response=state,
        service=state,
        loop_lag=state,
        complete=complete,
        intervals={0: interval},
        cpu_percent=10.0 * clients,
        admissions=(Admission(5_000, "127.0.0.1", True, "101", began_ns=4_000),),
    )


@given(VALUES, VALUES)
def test_a_merged_histogram_is_that_of_all_values(one: list[int], other: list[int]) -> None:
    whole = merge([part(one), part(other)])
    assert whole.response == recorder(one + other).state()
    assert whole.service == recorder(one + other).state()


def test_counts_add_up_and_nothing_is_averaged() -> None:
    busier = msgspec.structs.replace(
        part([1, 2, 3]), unread_max_bytes=700, receive_room_bytes=8_000
    )
    fuller = msgspec.structs.replace(
        part([4], clients=5), queue_fill_max_percent=3.0, receive_room_bytes=9_000
    )
    whole = merge([busier, fuller])
    assert (whole.offered, whole.admitted, whole.held) == (7, 7, 7)
    assert (whole.expected, whole.received, whole.lost) == (6, 4, 2)
    assert whole.cpu_percent == 50.0  # the busiest: each has a core of its own
    assert (whole.unread_max_bytes, whole.queue_fill_max_percent) == (700, 3.0)
    assert whole.receive_room_bytes == 8_000  # the tightest
    assert len(whole.admissions) == 2
    assert whole.intervals[0] == IntervalPart(7, 6, 4, {5: 2, 7: 4}, {5: 6}, 4)


def test_an_event_is_complete_if_every_process_with_subscribers_says_so() -> None:
    assert merge([part([1], b"\xf0"), part([1], b"\x3c")]).complete == b"\x30"
    nobody = msgspec.structs.replace(nothing(), offered=1, refused=1)
    assert merge([part([1], b"\xf0"), nobody]).complete == b"\xf0"


def test_one_part_alone_stays_as_it_is() -> None:
    alone = part([1, 2, 3])
    assert merge([alone]) == alone


def test_instants_of_another_clock_are_moved_to_ours_and_zero_stays_never() -> None:
    (moved,) = on_our_clock(part([1]), 1_500).admissions
    assert (moved.at_ns, moved.began_ns, moved.due_ns, moved.ended_ns) == (3_500, 2_500, 0, 0)


def test_another_host_knows_no_service_times() -> None:
    bare = without_service(part([1]))
    assert bare.service == Recorder().state()
    assert bare.intervals[0].service == {}
    assert bare.intervals[0].response == {5: 1, 7: 2}


def test_an_events_first_and_last_receiver_are_those_of_all_processes() -> None:
    def extremes(first_us: list[int], last_us: list[int]) -> bytes:
        return zlib.compress(np.array([first_us, last_us], dtype=np.int32).tobytes())

    one = msgspec.structs.replace(part([1], b"\xe0"), extremes=extremes([5, 9, 7], [6, 9, 8]))
    other = msgspec.structs.replace(part([1], b"\xa0"), extremes=extremes([4, 8, 9], [5, 8, 11]))
    fanout = merge([one, other]).fanout
    assert "median_receiver" not in fanout
    sums_us = {name: Recorder.restore(state).sum_ns // 1000 for name, state in fanout.items()}
    # The second event did not reach everybody: it has a first receiver and no last one.
    assert sums_us == {"first_receiver": 4 + 8 + 7, "last_receiver": 6 + 11, "spread": 2 + 4}
    assert merge([one, nothing()]).fanout == one.fanout
