import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.replay import Trace, load_trace
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


@given(times, st.floats(1, 5000))
def test_every_loop_of_the_trace_takes_its_share_of_the_mean_rate(
    at_us: list[int], rate: float
) -> None:
    length = len(at_us)
    offsets = trace(at_us).offsets_ns(rate, 3 * length)
    assert offsets[0] == 0
    assert (np.diff(offsets) >= 0).all()
    looped = offsets.reshape(3, length)
    assert np.allclose(looped[1] - looped[0], length / rate * 1e9, atol=2)
    assert np.allclose(looped[2] - looped[1], length / rate * 1e9, atol=2)


def test_the_recorded_rhythm_is_kept() -> None:
    offsets = trace([0, 100, 300, 600]).offsets_ns(1000, 4)
    gaps = np.diff(offsets)
    assert np.allclose(gaps / gaps[0], [1, 2, 3], rtol=1e-6)


def test_a_trace_without_time_is_spread_evenly() -> None:
    assert np.diff(trace([0, 0, 0]).offsets_ns(100, 6)).tolist() == [10_000_000] * 5


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
    with pytest.raises(UsageError, match="line 1: expected a header"):
        load_trace(empty)
    with pytest.raises(UsageError, match="line 1: expected a header"):
        load_trace(write(tmp_path / "t.jsonl", []))
