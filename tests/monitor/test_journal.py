"""The journal: what it keeps, what it finds, and what gives way."""

import os
import stat
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.journal import MIN_BYTES, Journal
from monitor.journalfile import RepeatedIdError
from monitor.journalrows import Entry

from .journals import NOW, entries, entry, killed, open_journal, read, stored


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
    written = [
        entry(1, run="r", phase=None, id=None),
        entry(2),
        entry(3, phase="é"),
        entry(4, id=None),
        entry(5, id=None),
    ]
    journal.append(written[:1])
    journal.append(written[1:])
    epoch = journal.epoch
    journal.close()
    again = open_journal(path, synchronous=synchronous)
    assert (again.epoch, again.first, again.last) == (epoch, 1, 5)
    assert read(again) == stored(written)
    assert read(again, after=4) == stored(written[4:])
    assert read(again, after=5) == []
    again.close()


def test_closing_leaves_the_file_and_its_witness(path: Path) -> None:
    journal = open_journal(path)
    journal.append(entries(journal, 5))
    journal.close()
    assert sorted(path.parent.iterdir()) == [path, path.with_suffix(".witness")]


@pytest.mark.parametrize("publisher_id", [True, False])
def test_the_tail_is_the_newest_that_both_bounds_allow(
    journal: Journal, publisher_id: bool
) -> None:
    ids = (f"id-{number}" if publisher_id else None for number in range(1, 11))
    journal.append(
        [entry(number, payload=b"x" * 10, id=each) for number, each in enumerate(ids, 1)]
    )
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
        [entry(2, id=None, payload=b"{}\n{}")],
    ],
)
def test_a_batch_is_stored_whole_or_not_at_all(journal: Journal, batch: list[Entry]) -> None:
    journal.append([entry(1)])
    states = journal.states()
    with pytest.raises((ValueError, RepeatedIdError), match="journal"):
        journal.append(batch)
    assert (journal.last, read(journal), journal.states()) == (1, stored([entry(1)]), states)
    journal.append([entry(2)])
    assert journal.find("pipeline", ["new", "id-2"]) == {"id-2": 2}


def test_the_newest_state_of_each_phase_outlives_its_events(path: Path) -> None:
    journal = open_journal(path, max_events=1)
    written = [
        entry(1, phase="a"),
        entry(2, phase="b", run="r"),
        entry(3, phase="a", type="phase_complete"),
        entry(4, phase="a", type="checkpoint_created"),
        entry(5, phase=None, type="file_trashed"),
        entry(6, phase="a", run="r"),
        entry(7, phase="b", run="r"),
    ]
    journal.append(written[:6])
    expected = [written[number - 1].payload for number in (2, 3, 6)]
    assert journal.states() == expected
    journal.prune(NOW)
    assert journal.first == 6
    journal.close()
    again = open_journal(path)
    assert again.states() == expected
    again.append(written[6:])
    assert again.states() == [written[number - 1].payload for number in (3, 6, 7)]
    again.close()


def test_runs_and_phases_are_bounded_and_the_longest_unchanged_give_way(path: Path) -> None:
    journal = open_journal(path)
    for number in range(60):
        journal.append([entry(journal.last + 1, run=f"run-{number}")])
    journal.append(entries(journal, 1, run="run-10"))
    assert journal.states()[0] == entry(12, run="run-11").payload
    assert len(journal.states()) == 50
    journal.close()
    journal = open_journal(path)
    for number in range(250):
        journal.append([entry(journal.last + 1, run="run-59", phase=f"phase-{number}")])
    assert len(journal.states()) == 49 + 200
    journal.append([entry(journal.last + 1 + number, run=f"new-{number}") for number in range(70)])
    assert journal.states() == [kept.payload for kept in journal.tail(50, 10**6)]
    journal.close()


def test_states_are_bounded_in_bytes_so_that_events_keep_most_of_the_file(path: Path) -> None:
    journal = open_journal(path, max_bytes=MIN_BYTES)
    for _ in range(3):
        for number in range(300):
            journal.append(entries(journal, 1, phase=f"phase-{number}", padding=4_000))
        while journal.prune(NOW):
            pass
    assert journal.max_state_bytes == MIN_BYTES // 4
    held = journal.states()
    assert sum(map(len, held)) <= MIN_BYTES // 4 < sum(map(len, held)) + 4_100
    assert held == [kept.payload for kept in journal.tail(len(held), 10**9)]
    assert len(read(journal)) > len(held)
    journal.close()
    again = open_journal(path, max_bytes=MIN_BYTES)
    assert again.states() == held
    again.close()


def test_a_state_among_many_events_that_tell_none_is_saved(path: Path) -> None:
    journal = open_journal(path, max_events=1)
    journal.append(entries(journal, 1, phase="first"))
    for _ in range(3):
        for _ in range(20):
            journal.append(entries(journal, 70, type="checkpoint_created", id=None))
        journal.append(entries(journal, 1, phase="second"))
        told = journal.tail(1, 10**6)[0].payload
        journal.append(entries(journal, 70, type="checkpoint_created"))
        while journal.prune(NOW):
            pass
        assert journal.states() == [entry(1, phase="first").payload, told]
    crashed = open_journal(killed(path, path.parent / "left"), max_events=1)
    assert crashed.states() == journal.states()
    crashed.close()
    journal.close()


def test_states_are_written_some_at_a_time_and_none_is_forgotten(path: Path) -> None:
    journal = open_journal(path, max_events=1)
    count = 190
    for turn in range(1, 13):
        for run in range(20):
            journal.append(
                [
                    entry(journal.last + 1 + number, run=f"r{run}", phase=f"p{number}", id=None)
                    for number in range(count)
                ]
            )
        expected = [kept.payload for kept in journal.tail(20 * count, 10**9)]
        for _ in range(turn):
            journal.prune(NOW)
            assert journal.states() == expected
        if turn % 3 == 0:
            left = killed(path, path.parent / f"left-{turn}")
            crashed = open_journal(left, max_events=1)
            assert crashed.states() == expected
            crashed.close()
    while journal.prune(NOW):
        pass
    assert (journal.first, journal.states()) == (journal.last, expected)
    journal.close()
    again = open_journal(path, max_events=1)
    assert again.states() == expected
    again.close()


# Bounds


def test_count_age_and_bytes_each_make_the_oldest_give_way(path: Path) -> None:
    journal = open_journal(path, max_events=10, max_age_s=100)
    journal.append([entry(number, at=NOW + number) for number in range(1, 16)])
    assert journal.prune(NOW) == 5
    assert (journal.first, journal.last) == (6, 15)
    assert journal.prune(NOW + 108) == 3
    assert [kept.offset for kept in read(journal)] == [*range(9, 16)]
    assert journal.prune(NOW + 108) == 0
    journal.close()


@pytest.mark.parametrize("fields", [{}, {"id": None}], ids=["with ids", "without"])
def test_the_file_stays_within_its_bytes_and_so_does_the_wal(
    path: Path, fields: dict[str, object]
) -> None:
    journal = open_journal(path, max_events=10**9, max_bytes=MIN_BYTES)
    largest = wal = 0
    for _ in range(300):
        journal.append(entries(journal, 50, padding=300, **fields))
        while journal.prune(NOW):
            pass
        assert journal.used_bytes() <= MIN_BYTES
        largest = max(largest, path.stat().st_size)
        wal = max(wal, path.with_name("journal.db-wal").stat().st_size)
    assert largest <= MIN_BYTES + 200_000
    assert wal <= 2 * 2**20
    assert len(read(journal)) > 500
    journal.close()


def test_one_pruning_does_a_bounded_amount_of_work_yet_keeps_pace(path: Path) -> None:
    journal = open_journal(path, max_events=1)
    for _ in range(10):
        journal.append(entries(journal, 1_000))
    journal.prune(NOW)
    journal.append(entries(journal, 1))
    assert journal.prune(NOW) == 1_000 or journal.first == journal.last
    for _ in range(20):
        journal.append(entries(journal, 1_000))
        journal.prune(NOW)
    assert journal.last - journal.first < 3_000
    journal.close()


def test_events_that_share_a_row_give_way_one_by_one(path: Path) -> None:
    journal = open_journal(path, max_events=70)
    journal.append([entry(number, id=None, phase=f"phase-{number}") for number in range(1, 101)])
    assert journal.prune(NOW) == 30
    for _ in range(2):
        assert (journal.first, journal.last) == (31, 100)
        assert [kept.offset for kept in read(journal)] == [*range(31, 101)]
        assert [kept.offset for kept in journal.tail(100, 10**6)] == [*range(31, 101)]
        assert [kept.offset for kept in read(journal, after=98)] == [99, 100]
        journal.close()
        journal = open_journal(path, max_events=70)
    assert len(journal.states()) == 100
    assert journal.prune(NOW) == 0
    journal.append(entries(journal, 50, id=None))
    assert journal.prune(NOW) == 50
    assert [kept.offset for kept in read(journal)] == [*range(81, 151)]
    journal.close()


@pytest.mark.parametrize("reopen", [False, True])
def test_offsets_are_not_used_again_when_everything_was_pruned(path: Path, reopen: bool) -> None:
    journal = open_journal(path, max_age_s=1)
    journal.append([entry(1), entry(2)])
    assert journal.prune(NOW + 10) == 2
    if reopen:
        journal.close()
        journal = open_journal(path, max_age_s=1)
    assert (journal.first, journal.last, read(journal)) == (3, 2, [])
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
    st.tuples(st.just("nameless"), st.integers(1, 90), st.sampled_from(["a", "b", "c", None])),
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
        if what in {"append", "nameless"}:
            fields = {"at": now, "phase": phase} | ({"id": None} if what == "nameless" else {})
            batch = [entry(last + 1 + each, **fields) for each in range(number)]
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
            left = killed(path, tmp_path_factory.mktemp("left"))
            journal.close()
            path = left
            journal = open_journal(path, max_events=8, max_age_s=20)
        elif model:
            again = model[-1].id or f"id-{last + 1}"
            with pytest.raises((ValueError, RepeatedIdError), match="journal"):
                journal.append([entry(last + 1), entry(last + 2, id=again)])
        assert journal.last == last
        assert read(journal) == stored(model)
        assert journal.first == (model[0].offset if model else last + 1)
        assert journal.states() == list(states.values())
    journal.close()
