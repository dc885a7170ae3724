"""The journal that is damaged, restored, or taken away: refused untouched, or told apart."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from monitor import witness
from monitor.contract.verdicts import UsageError
from monitor.journal import Journal
from monitor.journalfile import JournalError, JournalFullError

from .journals import entries, entry, killed, open_journal, read


def refuse(path: Path) -> str:
    with pytest.raises(UsageError, match=str(path)) as caught:
        open_journal(path)
    return str(caught.value)


def contents(folder: Path) -> dict[str, bytes]:
    """What is in the files, but for SQLite's index of the log, which is made from the log."""
    return {
        file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith("-shm")
    }


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


def test_a_damaged_journal_with_a_log_beside_it_is_left_as_it_is(
    path: Path, journal: Journal
) -> None:
    for _ in range(40):
        journal.append(entries(journal, 50, padding=200))
    left = killed(path, path.parent / "left")
    with left.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 8192)
    before = contents(left.parent)
    assert "journal.db-wal" in before
    assert "restore it, or move it away" in refuse(left)
    assert contents(left.parent) == before


SPOILED = [
    "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = x'ff00ff' WHERE name = 'events'",
    "UPDATE events SET payload = 'text' WHERE offset = 3",
    "UPDATE events SET payload = 7 WHERE offset = 3",
    "UPDATE events SET at = 'noon' WHERE offset = 3",
    "UPDATE events SET offset = -3 WHERE offset = 3",
    "UPDATE events SET offset = 9223372036854775807 WHERE offset = 5",
    "UPDATE phases SET offset = 1000000000",
    "UPDATE phases SET offset = 0",
    "UPDATE phases SET offset = 5",
    "UPDATE phases SET payload = 12",
    "DELETE FROM journal",
    "INSERT INTO journal VALUES ('again', 0)",
    "UPDATE journal SET pruned = 'x'",
    "DROP TABLE phases",
]


@pytest.mark.parametrize("spoil", SPOILED)
@pytest.mark.parametrize("crashed", [False, True], ids=["closed", "with a log"])
def test_a_file_that_holds_what_no_journal_holds_is_refused(
    path: Path, spoil: str, crashed: bool
) -> None:
    journal = open_journal(path)
    journal.append([entry(number, phase=f"phase-{number % 3}", id=None) for number in range(1, 4)])
    journal.append(entries(journal, 2))
    journal.close()
    with sqlite3.connect(path) as database:
        database.executescript(spoil)
        if crashed:
            path = killed(path, path.parent / "left")
    database.close()
    before = contents(path.parent) if crashed else {}
    assert "restore it, or move it away" in refuse(path)
    assert not crashed or contents(path.parent) == before


def test_damage_that_shows_later_is_no_full_disk(path: Path) -> None:
    journal = open_journal(path)
    journal.append(entries(journal, 8_000, padding=1_000))  # more than SQLite caches
    journal.close()
    journal = open_journal(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(JournalError, match="restore it") as caught:
        read(journal)
    assert not isinstance(caught.value, JournalFullError)
    journal.close()


# Restored, or without its end


def lose_nothing(path: Path) -> None:
    pass


def lose_log(path: Path) -> None:
    path.with_name("journal.db-wal").unlink()


def flip_bit_in_log(path: Path) -> None:
    log = path.with_name("journal.db-wal")
    content = bytearray(log.read_bytes())
    content[-2_000] ^= 1
    log.write_bytes(content)


def lose_witness(path: Path) -> None:
    path.with_suffix(".witness").unlink()


def spoil_witness(path: Path) -> None:
    path.with_suffix(".witness").write_bytes(b"\xff\n7")


def put_back_from_a_copy(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").replace(path)


@pytest.mark.parametrize(
    ("befalls", "set_back"),
    [
        (lose_nothing, False),
        (lose_log, True),
        (flip_bit_in_log, True),
        (lose_witness, True),
        (spoil_witness, True),
        (put_back_from_a_copy, True),
    ],
)
def test_a_journal_that_lost_its_end_goes_on_in_a_new_epoch(
    path: Path, befalls: Callable[[Path], None], set_back: bool
) -> None:
    """The process is killed; something befalls its files; another one takes them up."""
    journal = open_journal(path)
    journal.append(entries(journal, 3))
    epoch = journal.epoch
    journal.close()
    journal = open_journal(path)
    assert (journal.epoch, journal.set_back) == (epoch, False)
    journal.append(entries(journal, 2))
    left = killed(path, path.parent / "left")
    journal.close()
    for name in ("journal.db", "journal.db-wal", "journal.witness"):
        # In place, as a process that was killed leaves them: the same files, by inode.
        source = left.with_name(name)
        path.with_name(name).write_bytes(source.read_bytes())
    befalls(path)
    again = open_journal(path)
    assert (again.set_back, again.epoch != epoch) == (set_back, set_back)
    assert again.last in {3, 5}
    again.append(entries(again, 1))
    epoch = again.epoch
    again.close()
    once_more = open_journal(path)
    assert (once_more.epoch, once_more.set_back) == (epoch, False)
    once_more.close()


def folder_by_copy(state: Path, backup: Path) -> None:
    shutil.rmtree(state)
    shutil.copytree(backup, state)


def files_in_place(state: Path, backup: Path) -> None:
    for file in backup.iterdir():
        (state / file.name).write_bytes(file.read_bytes())


def files_one_by_one(state: Path, backup: Path) -> None:
    for file in backup.iterdir():
        (state / file.name).unlink()
        shutil.copy(file, state)


@pytest.mark.parametrize("restore", [folder_by_copy, files_in_place, files_one_by_one])
def test_a_copy_of_the_whole_folder_counts_as_put_back(
    tmp_path: Path, restore: Callable[[Path, Path], None]
) -> None:
    path = tmp_path / "state" / "journal.db"
    path.parent.mkdir()
    journal = open_journal(path)
    journal.append(entries(journal, 5))
    epoch = journal.epoch
    journal.close()
    shutil.copytree(path.parent, tmp_path / "backup")
    journal = open_journal(path)
    assert (journal.epoch, journal.set_back) == (epoch, False)
    journal.append(entries(journal, 5))
    journal.close()
    restore(path.parent, tmp_path / "backup")
    journal = open_journal(path)
    assert journal.set_back
    assert (journal.epoch != epoch, journal.last) == (True, 5)
    journal.close()


def test_a_young_journal_that_lost_all_it_had_begins_a_new_epoch(path: Path) -> None:
    journal = open_journal(path)
    assert not journal.set_back
    journal.append(entries(journal, 3))
    epoch = journal.epoch
    left = {name: path.with_name(name).read_bytes() for name in contents(path.parent)}
    journal.close()
    for name, content in left.items():
        path.with_name(name).write_bytes(content)
    lose_log(path)
    journal = open_journal(path)
    assert (journal.set_back, journal.last) == (True, 0)
    assert journal.epoch != epoch
    journal.close()


def test_what_is_found_damaged_before_it_was_begun_keeps_its_epoch(path: Path) -> None:
    journal = open_journal(path)
    journal.append(entries(journal, 3))
    epoch = journal.epoch
    journal.close()
    lose_witness(path)
    unbegun = Journal.open(path, max_events=10, max_bytes=2**30, max_age_s=1e9)
    assert unbegun.set_back
    assert unbegun.epoch != epoch
    unbegun.close()
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT epoch FROM journal").fetchone() == (epoch,)
    database.close()


@pytest.mark.parametrize(("synchronous", "set_back"), [("NORMAL", True), ("FULL", False)])
def test_after_a_crash_of_the_machine_only_what_was_durable_goes_on(
    path: Path,
    synchronous: Literal["NORMAL", "FULL"],
    set_back: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journal = open_journal(path, synchronous=synchronous)
    journal.append(entries(journal, 3))
    left = {name: path.with_name(name).read_bytes() for name in contents(path.parent)}
    journal.close()
    for name, content in left.items():
        path.with_name(name).write_bytes(content)
    other = path.with_name("another-boot")
    other.write_text("5f0c1f4e-0000-4000-8000-000000000000\n")
    monkeypatch.setattr(witness, "_BOOT_ID", other)
    again = open_journal(path, synchronous=synchronous)
    assert again.set_back == set_back
    again.close()
    monkeypatch.setattr(witness, "_BOOT_ID", path.with_name("no such file"))
    closed_before = open_journal(path, synchronous=synchronous)
    assert not closed_before.set_back
    closed_before.close()


# Taken away while it is open


def test_a_journal_taken_away_refuses_events_until_it_is_back(path: Path, journal: Journal) -> None:
    journal.append(entries(journal, 1))
    journal.check()
    folder = path.parent
    moves = [(path, folder / "elsewhere"), (folder, folder.with_name("folder elsewhere"))]
    for here, there in moves:
        here.rename(there)
        with pytest.raises(JournalError, match="removed or replaced"):
            journal.check()
        with pytest.raises(JournalError, match="removed or replaced"):
            journal.append(entries(journal, 1))
        there.rename(here)
        journal.check()
        journal.append(entries(journal, 1))
    assert [event.offset for event in read(journal)] == [1, 2, 3]
