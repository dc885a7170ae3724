"""The journal and what befalls it: foreign and damaged files, kill -9, a full disk."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from monitor.contract.verdicts import UsageError
from monitor.journal import Journal
from monitor.journalfile import (
    FORMAT_VERSION,
    JournalFullError,
    RepeatedIdError,
)

from .journals import entries, entry, fill, open_journal, read, stored


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


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_refused_at_once(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    assert "not a regular file" in refuse(path)


def test_a_newer_format_is_refused_by_name(path: Path) -> None:
    open_journal(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert f"format 99, expected {FORMAT_VERSION}" in refuse(path)


VERSION_1 = """
PRAGMA journal_mode = WAL;
CREATE TABLE events (
    offset INTEGER PRIMARY KEY, payload BLOB NOT NULL, type TEXT NOT NULL, run TEXT, phase TEXT,
    id TEXT, subject TEXT NOT NULL, at REAL NOT NULL
);
CREATE UNIQUE INDEX events_by_publisher_id ON events (subject, id) WHERE id IS NOT NULL;
CREATE TABLE phases (
    run TEXT NOT NULL, phase TEXT NOT NULL, offset INTEGER NOT NULL, payload BLOB NOT NULL,
    PRIMARY KEY (run, phase)
) WITHOUT ROWID;
CREATE TABLE journal (epoch TEXT NOT NULL, pruned INTEGER NOT NULL);
INSERT INTO journal VALUES ('00112233445566778899aabbccddeeff', 2);
PRAGMA application_id = 2004054122;
PRAGMA user_version = 1;
"""


def test_a_journal_of_the_first_format_goes_on_as_it_was(path: Path) -> None:
    old = [entry(3), entry(4, id=None, phase="reviewer"), entry(5, phase=None)]
    path.touch(mode=0o600)
    with sqlite3.connect(path) as database:
        database.executescript(VERSION_1)
        for each in old:
            row = msgspec.structs.astuple(each)
            database.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    database.close()
    epochs = []
    for _ in range(2):
        journal = open_journal(path)
        epochs.append(journal.epoch)
        assert (journal.first, journal.last, read(journal)) == (3, 5, stored(old))
        assert journal.states() == [entry.payload for entry in old[:2]]
        assert journal.find("pipeline", ["id-3", "id-4"]) == {"id-3": 3}
        with pytest.raises(RepeatedIdError):
            journal.append([entry(6, id="id-3")])
        journal.close()
    assert epochs[0] == epochs[1] != "00112233445566778899aabbccddeeff"  # there was no witness
    journal = open_journal(path)
    journal.append(entries(journal, 1))
    assert journal.last == 6
    journal.close()


def test_an_empty_file_left_by_an_interrupted_start_becomes_a_journal(path: Path) -> None:
    path.touch()
    journal = open_journal(path)
    journal.append(entries(journal, 1))
    journal.close()


def child(program: str, *arguments: object) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])


@pytest.mark.slow
def test_two_processes_cannot_share_a_journal(path: Path, journal: Journal) -> None:
    program = (
        "import sys; from pathlib import Path; from monitor.contract.verdicts import UsageError\n"
        "from tests.monitor.journals import open_journal\n"
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
from tests.monitor.journals import NOW, entries, open_journal
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
        kept = read(journal)
        assert acknowledged[0] > last
        assert acknowledged[-1] <= journal.last <= acknowledged[-1] + 7
        assert [each.offset for each in kept] == [*range(journal.first, journal.last + 1)]
        assert kept == stored(entry(each.offset) for each in kept)
        assert journal.states() == [entry(journal.last).payload]
        last = journal.last
        journal.close()


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
    assert [kept.offset for kept in read(journal)] == [*range(1, last + 1)]
    assert journal.find("pipeline", [f"id-{last}", f"id-{last + 1}"]) == {f"id-{last}": last}
    assert journal.states()
    with pytest.raises(JournalFullError, match="make space in its folder"):
        journal.append(entries(journal, 1_000, padding=1_000))
    ballast.unlink()
    journal.append(entries(journal, 20))
    assert journal.last == last + 20
    assert fill(journal) > 0
    journal.close()
    again = open_journal(small_disk / "journal.db")
    assert [kept.offset for kept in read(again)] == [*range(1, again.last + 1)]
    again.close()


LIMITED = """
import resource, sys
from pathlib import Path
from tests.monitor.journals import entries, fill, open_journal, read
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
journal = open_journal(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, unlimited[1]))
assert fill(journal) > 5
last = journal.last
assert len(read(journal)) == last
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
    assert [kept.offset for kept in read(journal)] == [*range(1, journal.last + 1)]
    journal.close()
