import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.schedule.replay import Trace, load_trace
from monitor.contract.verdicts import UsageError

HEADER = {"format": 1, "source": "a test", "recorded_at": "2025-01-01T12:00:00Z"}


def write(path: Path, lines: list[object], events: int | None = None) -> Path:
    header = {**HEADER, "events": len(lines) if events is None else events}
    texts = [line if isinstance(line, str) else json.dumps(line) for line in [header, *lines]]
    path.write_text("\n".join(texts) + "\n")
    return path


def line(at_us: int, **fields: object) -> dict[str, object]:
    return {"at_us": at_us, "event": {"type": "phase_progress", "phase": "lint", **fields}}


def trace(at_us: list[int]) -> Trace:
    return Trace("a test", tuple(at_us), tuple({"n": number} for number in range(len(at_us))))


times = st.lists(st.integers(0, 50_000), min_size=1, max_size=40).map(
    lambda gaps: np.cumsum([0, *gaps[1:]]).tolist()
)


@given(times, st.floats(1, 5000), st.integers(1, 5))
def test_every_loop_holds_every_recorded_event_once_a_pipeline(
    at_us: list[int], rate: float, pipelines: int
) -> None:
    loop = len(at_us) * pipelines
    schedule = trace(at_us).schedule(rate, 3 * loop, pipelines)
    assert schedule.offsets_ns[0] >= 0
    assert (np.diff(schedule.offsets_ns) >= 0).all()
    offsets = schedule.offsets_ns.reshape(3, loop)
    for earlier, later in itertools.pairwise(offsets):
        assert np.allclose(later - earlier, loop / rate * 1e9, atol=2)
    for recorded in schedule.recorded.reshape(3, loop):
        assert sorted(recorded.tolist()) == sorted(list(range(len(at_us))) * pipelines)


def test_the_recorded_rhythm_is_kept() -> None:
    schedule = trace([0, 100, 300, 600]).schedule(1000, 4)
    gaps = np.diff(schedule.offsets_ns)
    assert np.allclose(gaps / gaps[0], [1, 2, 3], rtol=1e-6)
    assert schedule.recorded.tolist() == [0, 1, 2, 3]


def test_pipelines_are_shifted_against_each_other_by_equal_parts_of_a_loop() -> None:
    one = trace([0, 100, 300, 600]).schedule(250, 4).offsets_ns
    both = trace([0, 100, 300, 600]).schedule(500, 16, pipelines=2).offsets_ns
    loop_ns = int(4 / 250 * 1e9)
    shifts = [loop * loop_ns // 2 for loop in range(-1, 4)]
    expected = sorted(due + shift for shift in shifts for due in one if due + shift >= 0)
    assert np.allclose(both[:12], expected[:12], atol=2)


def test_a_trace_without_time_is_spread_evenly() -> None:
    assert np.diff(trace([0, 0, 0]).schedule(100, 6).offsets_ns).tolist() == [10_000_000] * 5


def test_what_a_server_adds_is_dropped(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", [line(5, offset=9, ref="x", message="kept")])
    loaded = load_trace(path)
    assert loaded.events == ({"type": "phase_progress", "phase": "lint", "message": "kept"},)
    assert loaded.at_us == (0,)


def test_a_missing_trace_says_how_to_record_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read.*wsproof tail --record"):
        load_trace(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([line(0), "{nonsense"], "line 3: expected an event"),
        ([line(0), {"at_us": -1, "event": {}}], "line 3: expected an event"),
        ([line(9), line(8)], "line 3: at_us 8 lies before"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, lines: list[object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_trace(write(tmp_path / "t.jsonl", lines))


def test_a_cut_trace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="line 1 announces 2 events, 1 follow"):
        load_trace(write(tmp_path / "t.jsonl", [line(0)], events=2))


def test_an_empty_file_or_trace_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    with pytest.raises(UsageError, match="is empty; record one"):
        load_trace(empty)
    with pytest.raises(UsageError, match="line 1: expected a header"):
        load_trace(write(tmp_path / "t.jsonl", []))
