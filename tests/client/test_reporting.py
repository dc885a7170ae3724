import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.client.outbox import Entry, Outbox, Tally
from monitor.client.reporting import Reporter


class Collected(Reporter):
    """A reporter whose events stay in its outbox."""

    def __init__(self, run: str | None = None) -> None:
        super().__init__(Outbox(), run)

    def _put(self, entry: Entry) -> None:
        self._outbox.put(entry)

    @property
    def tally(self) -> Tally:
        return self._outbox.tally()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(entry.payload) for entry in self._outbox.peek(1000, 10**9)]


def without_stamp(event: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in event.items() if k not in {"timestamp", "id"}}


def test_a_phase_reports_start_progress_and_completion() -> None:
    reporter = Collected()
    with reporter.phase("writer") as phase:
        phase.progress(45, "chapter 3")
    assert [without_stamp(event) for event in reporter.events] == [
        {"type": "phase_start", "phase": "writer"},
        {"type": "phase_progress", "phase": "writer", "progress": 45, "message": "chapter 3"},
        {"type": "phase_complete", "phase": "writer"},
    ]


def test_an_exception_reports_failure_with_its_text_and_goes_on() -> None:
    reporter = Collected()
    with pytest.raises(ValueError, match="no such chapter"), reporter.phase("writer"):
        raise ValueError("no such chapter")
    assert without_stamp(reporter.events[-1]) == {
        "type": "phase_failed",
        "phase": "writer",
        "error": "no such chapter",
    }


def test_an_exception_without_text_is_reported_by_its_name() -> None:
    reporter = Collected()
    with pytest.raises(KeyboardInterrupt), reporter.phase("writer"):
        raise KeyboardInterrupt
    assert reporter.events[-1]["error"] == "KeyboardInterrupt"


def test_every_event_has_an_id_of_its_own_and_a_utc_time() -> None:
    first, second = Collected(), Collected()
    for reporter in (first, second):
        reporter.checkpoint("a.json")
        reporter.trashed("b.html", phase="write")
    events = first.events + second.events
    assert len({event["id"] for event in events}) == 4
    assert all(event["timestamp"].endswith("Z") for event in events)


def test_the_run_stands_in_every_event() -> None:
    reporter = Collected(run="nightly-7")
    with reporter.phase("lint") as phase:
        phase.checkpoint("lint.json")
    assert {event["run"] for event in reporter.events} == {"nightly-7"}


@pytest.mark.parametrize(
    ("given", "reported"), [(-1, 0), (101, 100), (float("nan"), 0), (33.5, 33.5), (50.0, 50)]
)
def test_progress_outside_the_scale_is_taken_as_its_bound(given: float, reported: float) -> None:
    reporter = Collected()
    with reporter.phase("lint") as phase:
        phase.progress(given)
    assert reporter.events[1]["progress"] == reported


def test_texts_longer_than_the_monitor_accepts_are_cut() -> None:
    reporter = Collected()
    reporter.publish("phase_failed", phase="p" * 200, error="e" * 9_000)
    (event,) = reporter.events
    assert (len(event["phase"]), len(event["error"])) == (128, 4_096)


def test_an_undecodable_file_name_does_not_break_the_pipeline() -> None:
    reporter = Collected()
    reporter.checkpoint("caf\udce9.json")
    assert reporter.events[0]["path"] == "caf?.json"


class Untellable:
    """An object whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("given", "reported"),
    [(np.float32(45.5), 45.5), (np.int64(4), 4), (Decimal("4.5"), 4.5), ("45", 45)],
)
def test_progress_may_be_whatever_is_a_number(given: Any, reported: float) -> None:
    reporter = Collected()
    reporter.publish("phase_progress", phase="lint", progress=given)
    assert reporter.events[0]["progress"] == reported


@pytest.mark.parametrize(
    ("given", "reported"), [(Path("a/b"), "a/b"), (ValueError("x"), "x"), (5, "5")]
)
def test_a_message_may_be_any_object(given: object, reported: str) -> None:
    reporter = Collected()
    with reporter.phase("lint") as phase:
        phase.progress(1, given)
    assert reporter.events[1]["message"] == reported


def test_a_path_may_be_bytes() -> None:
    reporter = Collected()
    reporter.checkpoint(b"site/a.json")
    assert reporter.events[0]["path"] == "site/a.json"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda reporter: reporter.phase("lint").progress("half"),
        lambda reporter: reporter.phase("lint").progress([]),
        lambda reporter: reporter.phase("lint").progress(1, Untellable()),
        lambda reporter: reporter.checkpoint(5),
        lambda reporter: reporter.publish("phase_failed", error=Untellable()),
    ],
)
def test_what_cannot_be_put_into_words_is_dropped_and_told_once(
    spoil: Callable[[Collected], object], caplog: pytest.LogCaptureFixture
) -> None:
    reporter = Collected()
    spoil(reporter)
    spoil(reporter)
    assert reporter.events == []
    assert reporter.tally.dropped == 2
    (record,) = caplog.records
    assert "cannot be reported" in record.getMessage()
