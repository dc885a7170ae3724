import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.client import Event
from monitor.contract.verdicts import UsageError
from scripts.trace import TraceWriter


def event(path: str = "a", *, snapshot: bool = False) -> Event:
    return Event(
        type="file_trashed",
        timestamp="2025-01-01T12:00:00Z",
        path=path,
        offset=None if snapshot else 7,
        snapshot=snapshot,
    )


@pytest.fixture
def told() -> list[str]:
    return []


@settings(max_examples=30)
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=30), st.text())
def test_a_trace_tells_the_times_between_arrivals(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[int], source: str
) -> None:
    source = source.encode("utf-8", "replace").decode()
    path = tmp_path_factory.mktemp("trace") / "trace.jsonl"
    now, times = 10**15, []
    with TraceWriter(path, source, lambda _: None) as trace:
        for gap in gaps:
            now += gap
            times.append(now)
            trace.add(event(), now)
    header, *lines = map(json.loads, path.read_bytes().rstrip().split(b"\n"))
    assert (header["format"], header["source"], header["events"]) == (1, source, len(gaps))
    assert [line["at_us"] for line in lines] == [(t - times[0]) // 1_000 for t in times]


def test_an_event_is_kept_as_published(tmp_path: Path, told: list[str]) -> None:
    with TraceWriter(tmp_path / "t", "s", told.append) as trace:
        trace.add(event("x"), 0)
    line = json.loads((tmp_path / "t").read_text().splitlines()[1])
    assert line["event"] == {
        "type": "file_trashed",
        "timestamp": "2025-01-01T12:00:00Z",
        "path": "x",
    }


def test_a_snapshot_is_no_event_of_a_trace(tmp_path: Path, told: list[str]) -> None:
    with TraceWriter(tmp_path / "t", "s", told.append) as trace:
        trace.add(event(snapshot=True), 0)
    assert list(tmp_path.iterdir()) == []
    assert "was not written" in told[0]


def test_until_it_is_complete_the_old_trace_stays(tmp_path: Path, told: list[str]) -> None:
    path = tmp_path / "t"
    path.write_text("old")
    with TraceWriter(path, "s", told.append) as trace:
        trace.add(event(), 0)
        assert path.read_text() == "old"
    assert path.read_text() != "old"
    assert [file.name for file in tmp_path.iterdir()] == ["t"]


def test_what_was_recorded_before_an_error_is_kept(tmp_path: Path, told: list[str]) -> None:
    def record() -> None:
        with TraceWriter(tmp_path / "t", "s", told.append) as trace:
            trace.add(event(), 0)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        record()
    assert len((tmp_path / "t").read_text().splitlines()) == 2


def test_a_folder_that_cannot_be_written_is_wrong_usage(tmp_path: Path, told: list[str]) -> None:
    with (
        pytest.raises(UsageError, match="name another file"),
        TraceWriter(tmp_path / "no" / "t", "s", told.append),
    ):
        pass
