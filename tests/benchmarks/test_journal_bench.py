"""Cost of a commit; the figures stand in docs/methodology.md."""

import itertools
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from monitor.journal import Journal
from monitor.journalrows import Entry

PAYLOAD = b"x" * 200


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
@pytest.mark.parametrize("named", [True, False], ids=["with ids", "without ids"])
@pytest.mark.parametrize("events", [1, 10, 100])
def test_journal_commit(
    benchmark: BenchmarkFixture, tmp_path: Path, synchronous: str, events: int, *, named: bool
) -> None:
    """Commit a group of so many events, each with its publisher's id, or none with one.

    The median is that of a commit; the mean has the copying of the WAL into the file in it, which
    waits for the disk once in some tens of commits.
    """
    journal = Journal.open(
        tmp_path / "journal.db",
        max_events=10**6,
        max_bytes=10**9,
        max_age_s=3600.0,
        synchronous=synchronous,
    )
    numbers = itertools.count(1)

    def group() -> tuple[tuple[list[Entry]], dict[str, object]]:
        chosen = list(itertools.islice(numbers, events))
        return ([entry(number, named=named) for number in chosen],), {}

    total = 20_000 if synchronous == "NORMAL" else 2_000
    rounds = total // events if benchmark.enabled else 1
    journal.begin()
    benchmark.pedantic(journal.append, setup=group, rounds=rounds)
    benchmark.extra_info["events"] = events
    journal.close()


def entry(number: int, *, named: bool) -> Entry:
    kind, run, phase, at = "phase_progress", "run-1", "writer", 1_735_732_800.0
    own = f"wsp-1-{number:09d}" if named else None
    return Entry(number, PAYLOAD, kind, run, phase, own, "pipeline", at)
