import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.contract.verdicts import UsageError
from monitor.journal import (
    MIN_BYTES,
    Entry,
    Journal,
    JournalError,
    JournalFullError,
    RepeatedIdError,
)

NOW = 1_700_000_000.0


def open_journal(
    path: Path,
    *,
    max_events: int = 10_000,
    max_bytes: int = 2**30,
    max_age_s: float = 1e9,
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
) -> Journal:
    return Journal.open(
        path,
        max_events=max_events,
        max_bytes=max_bytes,
        max_age_s=max_age_s,
        synchronous=synchronous,
    )


def entry(offset: int, **changes: object) -> Entry:
    values: dict[str, object] = {
        "offset": offset,
        "payload": b'{"offset":%d}' % offset,
        "type": "phase_progress",
        "run": None,
        "phase": "writer",
        "id": f"id-{offset}",
        "subject": "pipeline",
        "at": NOW,
    }
    return Entry(**{**values, **changes})  # type: ignore[arg-type]


def entries(journal: Journal, count: int, **changes: object) -> list[Entry]:
    return [entry(journal.last + 1 + number, **changes) for number in range(count)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    opened = open_journal(path)
    yield opened
    opened.close()


def test_a_new_journal_is_empty_private_and_of_a_fresh_epoch(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        epochs = set()
        for name in ("a.db", "b.db"):
            journal = open_journal(tmp_path / name)
            assert (journal.first, journal.last, journal.tail(10, 10**6)) == (1, 0, [])
            journal.append(entries(journal, 1))
            files = list(tmp_path.glob(f"{name}*"))
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
            assert len(bytes.fromhex(journal.epoch)) == 16
            epochs.add(journal.epoch)
            journal.close()
    finally:
        os.umask(before)
    assert len(epochs) == 2


@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
def test_what_was_appended_is_there_after_reopening(
    path: Path, synchronous: Literal["NORMAL", "FULL"]
) -> None:
    journal = open_journal(path, synchronous=synchronous)
    stored = [entry(1, run="r", phase=None, id=None), entry(2), entry(3, payload="é".encode())]
    journal.append(stored[:1])
    journal.append(stored[1:])
    epoch = journal.epoch
    journal.close()
    again = open_journal(path, synchronous=synchronous)
    assert (again.epoch, again.first, again.last) == (epoch, 1, 3)
    assert again.read(0, 10) == stored
    assert again.read(1, 1) == stored[1:2]
    assert again.read(3, 10) == []
    again.close()


def test_closing_leaves_one_file_and_may_be_repeated(path: Path) -> None:
    journal = open_journal(path)
    journal.append(entries(journal, 5))
    journal.close()
    journal.close()
    assert list(path.parent.iterdir()) == [path]


def test_the_tail_is_the_newest_that_both_bounds_allow(journal: Journal) -> None:
    journal.append([entry(number, payload=b"x" * 10) for number in range(1, 11)])
    assert [kept.offset for kept in journal.tail(3, 10**6)] == [8, 9, 10]
    assert [kept.offset for kept in journal.tail(100, 25)] == [9, 10]
    assert journal.tail(100, 9) == []


def test_a_publisher_s_id_is_found_under_its_own_subject_only(journal: Journal) -> None:
    journal.append([entry(1), entry(2, id=None), entry(3, id="id-1", subject="other")])
    assert journal.find("pipeline", ["id-1"]) == {"id-1": 1}
    assert journal.find("other", ["id-1", "id-3"]) == {"id-1": 3}
    assert journal.find("pipeline", ["id-2", 'it"s', "é", "\0"]) == {}
    assert journal.find("pipeline", []) == {}


@pytest.mark.parametrize(
    "batch",
    [
        [entry(2, id="new"), entry(3, id="id-1")],  # stored before
        [entry(2, id="new"), entry(3, id="new")],  # twice in the batch
        [entry(2, id="new"), entry(4)],  # a hole
        [entry(1, id="new")],
        [entry(3)],
    ],
)
def test_a_batch_is_stored_whole_or_not_at_all(journal: Journal, batch: list[Entry]) -> None:
    journal.append([entry(1)])
    states = journal.states()
    with pytest.raises((ValueError, RepeatedIdError), match="journal"):
        journal.append(batch)
    assert (journal.last, journal.read(0, 10), journal.states()) == (1, [entry(1)], states)
    journal.append([entry(2)])
    assert journal.find("pipeline", ["new", "id-2"]) == {"id-2": 2}


def test_the_newest_state_of_each_phase_outlives_its_events(path: Path) -> None:
    journal = open_journal(path, max_events=1)
    journal.append(
        [
            entry(1, phase="a"),
            entry(2, phase="b", run="r"),
            entry(3, phase="a", type="phase_complete"),
            entry(4, phase="a", type="checkpoint_created"),
            entry(5, phase=None, type="file_trashed"),
            entry(6, phase="a", run="r"),
        ]
    )
    expected = [entry(number).payload for number in (2, 3, 6)]
    assert journal.states() == expected
    journal.prune(NOW)
    assert journal.first == 6
    journal.close()
    again = open_journal(path)
    assert again.states() == expected
    again.append([entry(7, phase="b", run="r")])
    assert again.states() == [entry(number).payload for number in (3, 6, 7)]
    again.close()


def test_runs_and_phases_are_bounded_and_the_longest_unchanged_give_way(path: Path) -> None:
    journal = open_journal(path)
    for number in range(60):
        journal.append([entry(journal.last + 1, run=f"run-{number}")])
    journal.append(entries(journal, 1, run="run-10"))
    assert journal.states()[0] == entry(12).payload
    assert len(journal.states()) == 50
    journal.close()
    journal = open_journal(path)
    for number in range(250):
        journal.append([entry(journal.last + 1, run="run-59", phase=f"phase-{number}")])
    assert len(journal.states()) == 49 + 200
    journal.append([entry(journal.last + 1 + number, run=f"new-{number}") for number in range(70)])
    assert journal.states() == [kept.payload for kept in journal.tail(50, 10**6)]
    journal.close()


# Bounds


def test_count_age_and_bytes_each_make_the_oldest_give_way(path: Path) -> None:
    journal = open_journal(path, max_events=10, max_age_s=100)
    journal.append([entry(number, at=NOW + number) for number in range(1, 16)])
    assert journal.prune(NOW) == 5
    assert (journal.first, journal.last) == (6, 15)
    assert journal.prune(NOW + 108) == 3
    assert [kept.offset for kept in journal.read(0, 100)] == [*range(9, 16)]
    assert journal.prune(NOW + 108) == 0
    journal.close()


def test_the_file_stays_within_its_bytes_and_so_does_the_wal(path: Path) -> None:
    journal = open_journal(path, max_events=10**9, max_bytes=MIN_BYTES)
    largest = wal = 0
    for _ in range(300):
        journal.append(entries(journal, 50, payload=b"x" * 300))
        while journal.prune(NOW):
            pass
        assert journal.used_bytes() <= MIN_BYTES
        largest = max(largest, path.stat().st_size)
        wal = max(wal, path.with_name("journal.db-wal").stat().st_size)
    assert largest <= MIN_BYTES + 200_000
    assert wal <= 2 * 2**20
    assert len(journal.read(0, 10**6)) > 500
    journal.close()


def test_one_pruning_does_a_bounded_amount_of_work_yet_keeps_pace(path: Path) -> None:
    journal = open_journal(path, max_events=1)
    for _ in range(10):
        journal.append(entries(journal, 1_000))
    journal.prune(NOW)
    journal.append(entries(journal, 1))
    assert journal.prune(NOW) == 200 or journal.first == journal.last
    for _ in range(20):
        journal.append(entries(journal, 1_000))
        journal.prune(NOW)
    assert journal.last - journal.first < 3_000
    journal.close()


@pytest.mark.parametrize("reopen", [False, True])
def test_offsets_are_not_used_again_when_everything_was_pruned(path: Path, reopen: bool) -> None:
    journal = open_journal(path, max_age_s=1)
    journal.append([entry(1), entry(2)])
    assert journal.prune(NOW + 10) == 2
    if reopen:
        journal.close()
        journal = open_journal(path, max_age_s=1)
    assert (journal.first, journal.last, journal.read(0, 10)) == (3, 2, [])
    with pytest.raises(ValueError, match="continue at 3"):
        journal.append([entry(1)])
    journal.append([entry(3)])
    assert journal.find("pipeline", ["id-1"]) == {}
    journal.close()


@pytest.mark.parametrize(
    ("max_events", "max_bytes", "max_age_s"), [(0, 2**30, 1), (1, 1, 1), (1, 2**30, 0)]
)
def test_bounds_that_hold_nothing_are_refused(
    path: Path, max_events: int, max_bytes: int, max_age_s: float
) -> None:
    with pytest.raises(ValueError, match="bounds"):
        open_journal(path, max_events=max_events, max_bytes=max_bytes, max_age_s=max_age_s)
    assert not path.exists()


STEP = st.one_of(
    st.tuples(st.just("append"), st.integers(0, 6), st.sampled_from(["a", "b", "c", None])),
    st.tuples(st.just("prune"), st.integers(0, 40), st.none()),
    st.tuples(st.just("reopen"), st.just(0), st.none()),
    st.tuples(st.just("crash"), st.just(0), st.none()),
    st.tuples(st.just("bad"), st.integers(1, 3), st.none()),
)


@settings(max_examples=60)
@given(st.lists(STEP, max_size=25))
def test_any_schedule_leaves_what_the_model_has(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, str | None]]
) -> None:
    path = tmp_path_factory.mktemp("schedule") / "journal.db"
    journal = open_journal(path, max_events=8, max_age_s=20)
    model: list[Entry] = []
    states: dict[str, bytes] = {}
    last, now = 0, NOW
    for what, number, phase in steps:
        if what == "append":
            batch = [entry(last + 1 + each, at=now, phase=phase) for each in range(number)]
            journal.append(batch)
            model += batch
            last += number
            if batch and phase is not None:
                states.pop(phase, None)
                states[phase] = batch[-1].payload
        elif what == "prune":
            now += number
            journal.prune(now)
            model = [kept for kept in model[-8:] if kept.at > now - 20]
        elif what == "reopen":
            journal.close()
            journal = open_journal(path, max_events=8, max_age_s=20)
        elif what == "crash":  # what a killed process leaves: the files as they are
            left = tmp_path_factory.mktemp("left")
            for file in path.parent.iterdir():
                shutil.copy(file, left)
            journal.close()
            path = left / path.name
            journal = open_journal(path, max_events=8, max_age_s=20)
        elif model:
            with pytest.raises((ValueError, RepeatedIdError), match="journal"):
                journal.append([entry(last + 1), entry(last + 2, id=model[-1].id)])
        assert journal.last == last
        assert journal.read(0, 10**6) == model
        assert journal.first == (model[0].offset if model else last + 1)
        assert journal.states() == list(states.values())
    journal.close()


# Files that are not a journal of ours


def refuse(path: Path) -> str:
    with pytest.raises(UsageError, match=str(path)) as caught:
        open_journal(path)
    return str(caught.value)


def test_a_foreign_file_is_refused_and_not_a_byte_of_it_changes(path: Path) -> None:
    path.write_bytes(b"the diary of somebody else\n" * 500)
    before = path.read_bytes()
    assert "not a journal of wsproof" in refuse(path)
    path.unlink()
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE diary (day TEXT)")
    foreign.close()
    database = path.read_bytes()
    assert "not a journal of wsproof" in refuse(path)
    assert path.read_bytes() == database != before
    assert list(path.parent.iterdir()) == [path]


def test_a_newer_format_is_refused_by_name(path: Path) -> None:
    open_journal(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 2")
    database.close()
    assert "format 2, expected 1" in refuse(path)


def damaged(path: Path, start: int, content: bytes) -> bytes:
    journal = open_journal(path)
    journal.append(entries(journal, 2_000))
    journal.close()
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content)
    return path.read_bytes()


def test_a_damaged_journal_is_refused_and_kept_for_repair(path: Path) -> None:
    before = damaged(path, 4096, b"\xff" * 3 * 4096)
    assert "restore it, or move it away" in refuse(path)
    assert path.read_bytes() == before


def test_a_truncated_journal_is_refused(path: Path) -> None:
    damaged(path, 0, b"")
    os.truncate(path, path.stat().st_size // 8192 * 4096)
    assert "restore it, or move it away" in refuse(path)


def test_an_empty_file_left_by_an_interrupted_start_becomes_a_journal(path: Path) -> None:
    path.touch()
    journal = open_journal(path)
    journal.append(entries(journal, 1))
    journal.close()


def test_a_folder_in_its_place_is_refused_with_what_to_do(path: Path) -> None:
    path.mkdir()
    assert "check its permissions" in refuse(path)


def child(program: str, *arguments: object) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])


@pytest.mark.slow
def test_two_processes_cannot_share_a_journal(path: Path, journal: Journal) -> None:
    program = (
        "import sys; from pathlib import Path; from tests.monitor.test_journal import *\n"
        "try: open_journal(Path(sys.argv[1]))\n"
        "except UsageError as error: print(error)"
    )
    said, _ = child(program, path).communicate()
    assert b"running `wsproof serve`" in said
    journal.append(entries(journal, 1))


# kill -9, and a full disk

WRITER = """
import sys
from pathlib import Path
from tests.monitor.test_journal import entries, open_journal, NOW
journal = open_journal(Path(sys.argv[1]), max_events=500, synchronous=sys.argv[2])
while True:
    journal.append(entries(journal, 1 + journal.last % 7))
    sys.stdout.write(f"{journal.last}\\n")
    sys.stdout.flush()
    journal.prune(NOW)
"""


@pytest.mark.slow
@pytest.mark.parametrize("synchronous", ["NORMAL", "FULL"])
def test_every_acknowledged_append_survives_sigkill(path: Path, synchronous: str) -> None:
    last = 0
    for lives in range(1, 6):
        writer = child(WRITER, path, synchronous)
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(60 * lives)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.read().split(b"\n")[:-1]]
        writer.wait()
        writer.stdout.close()
        journal = open_journal(path)
        kept = journal.read(0, 10**6)
        assert acknowledged[0] > last
        assert acknowledged[-1] <= journal.last <= acknowledged[-1] + 7
        assert [each.offset for each in kept] == [*range(journal.first, journal.last + 1)]
        assert kept == [entry(each.offset) for each in kept]
        assert journal.states() == [entry(journal.last).payload]
        last = journal.last
        journal.close()


def fill(journal: Journal) -> int:
    """Append until the disk is full; return how many appends were stored."""
    for stored in range(10_000):
        try:
            journal.append(entries(journal, 20, payload=b"x" * 1_000))
        except JournalFullError:
            return stored
    raise AssertionError("the disk never filled")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"no mount command: {error}")
    if done.returncode:
        pytest.skip(f"no permission to mount a small disk: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)  # noqa: S607 - wherever mount was found


@pytest.mark.slow
def test_a_full_disk_refuses_events_keeps_serving_and_recovers(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 1_000_000)
    journal = open_journal(small_disk / "journal.db")
    assert fill(journal) > 10
    last = journal.last
    assert [kept.offset for kept in journal.read(0, 10**6)] == [*range(1, last + 1)]
    assert journal.find("pipeline", [f"id-{last}", f"id-{last + 1}"]) == {f"id-{last}": last}
    assert journal.states()
    with pytest.raises(JournalFullError, match="make space in its folder"):
        journal.append(entries(journal, 1_000, payload=b"x" * 1_000))
    ballast.unlink()
    journal.append(entries(journal, 20))
    assert journal.last == last + 20
    assert fill(journal) > 0
    journal.close()
    again = open_journal(small_disk / "journal.db")
    assert [kept.offset for kept in again.read(0, 10**6)] == [*range(1, again.last + 1)]
    again.close()


LIMITED = """
import resource, sys
from pathlib import Path
from tests.monitor.test_journal import entries, fill, open_journal
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
journal = open_journal(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, unlimited[1]))
assert fill(journal) > 5
last = journal.last
assert len(journal.read(0, 10**6)) == last
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
journal.append(entries(journal, 20))
print(journal.last - last)
journal.close()
"""


@pytest.mark.slow
def test_a_write_the_system_refuses_is_retryable(path: Path) -> None:
    writer = child(LIMITED, path)
    said, _ = writer.communicate()
    assert (writer.returncode, said) == (0, b"20\n")
    journal = open_journal(path)
    assert [kept.offset for kept in journal.read(0, 10**6)] == [*range(1, journal.last + 1)]
    journal.close()


def test_damage_that_shows_later_is_no_full_disk(path: Path) -> None:
    journal = open_journal(path)
    journal.append(entries(journal, 8_000, payload=b"x" * 1_000))  # more than SQLite caches
    journal.close()
    journal = open_journal(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(JournalError, match="restore it") as caught:
        journal.read(0, 10**6)
    assert not isinstance(caught.value, JournalFullError)
    journal.close()
