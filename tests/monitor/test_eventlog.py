"""The event log against a simple model: a list of everything ever appended."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.eventlog import About, EventLog, Filter
from monitor.events import Event, accept, complete

NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)

abouts = st.builds(
    About,
    st.sampled_from(["phase_progress", "phase_complete", "file_trashed"]),
    st.sampled_from([None, "a", "b"]),
    st.sampled_from([None, "lint", "write"]),
)
filters = st.none() | st.builds(
    Filter,
    st.none() | st.frozensets(st.sampled_from(["lint", "write"])),
    st.none() | st.frozensets(st.sampled_from(["phase_progress", "file_trashed"])),
    st.sampled_from([None, "a", "b"]),
)


def frame(offset: int) -> bytes:
    return b"<%06d>" % offset  # 8 bytes


def filled(entries: list[About], max_bytes: int) -> EventLog:
    log = EventLog("epoch", max_bytes=max_bytes)
    for offset, about in enumerate(entries, 1):
        assert log.append(frame(offset), about) == offset
    return log


@given(st.lists(abouts, max_size=60), st.integers(0, 30))
def test_the_newest_frames_within_the_byte_bound_are_held(entries, kept):
    log = filled(entries, kept * 8)
    assert log.last == len(entries)
    assert log.last + 1 - log.first == min(kept, len(entries))
    assert log.frame_bytes == min(kept, len(entries)) * 8


@given(st.lists(abouts, max_size=60), filters, st.integers(1, 60), st.data())
def test_stretches_chained_by_their_cursor_give_every_wanted_entry_once(
    entries, wanted, max_bytes, data
):
    log = filled(entries, 10**6)
    after = cursor = data.draw(st.integers(0, len(entries)))
    seen = b""
    while cursor < log.last:
        stretch = log.stretch(cursor, wanted, max_bytes)
        assert stretch.upto > cursor
        assert len(stretch.frames) <= max_bytes + 7
        assert stretch.sent == len(stretch.frames) // 8
        seen += stretch.frames
        cursor = stretch.upto
    expected = [
        frame(offset)
        for offset, about in enumerate(entries, 1)
        if offset > after and (wanted is None or wanted.admits(about))
    ]
    assert seen == b"".join(expected)
    assert log.count(after, wanted) == len(expected)


@given(st.lists(abouts, max_size=60), filters, st.integers(1, 60), st.data())
def test_thinning_keeps_all_but_progress_that_newer_progress_supersedes(
    entries, wanted, max_entries, data
):
    log = filled(entries, 10**6)
    after = data.draw(st.integers(0, len(entries)))
    stretch = log.thinned(after, wanted, max_entries)
    upto = min(after + max_entries, len(entries))
    assert stretch.upto == upto
    candidates = [
        (offset, about)
        for offset, about in enumerate(entries[:upto], 1)
        if offset > after and (wanted is None or wanted.admits(about))
    ]
    newest = {a[1:]: offset for offset, a in candidates if a.type == "phase_progress"}
    expected = [
        frame(offset)
        for offset, about in candidates
        if about.type != "phase_progress" or newest[about[1:]] == offset
    ]
    assert stretch.frames == b"".join(expected)
    assert stretch.sent + stretch.omitted == len(candidates)


def test_trimming_the_lists_leaves_offsets_as_they_were():
    log = EventLog("epoch", max_bytes=80)
    for offset in range(1, 10_001):
        log.append(frame(offset), About("file_trashed", None, None))
        assert log.stretch(offset - 1, None, 8).frames == frame(offset)
    assert log.first == 9_991
    assert log.stretch(9_990, None, 10**6).frames == b"".join(map(frame, range(9_991, 10_001)))


def test_a_log_continues_after_the_offset_it_was_reloaded_with():
    log = EventLog("epoch", 41)
    assert log.first == 42
    assert log.holds_after(41)
    assert not log.holds_after(40)
    assert not log.holds_after(42)
    assert log.append(frame(42), About("file_trashed", None, None)) == 42


def progress(phase: str, percent: int, run: str = "r") -> Event:
    event = Event("phase_progress", NOON, phase=phase, progress=percent, run=run)
    return accept(event)[0]


def test_a_phase_state_is_the_last_word_on_the_phase():
    log = EventLog("epoch")
    log.note([(1, progress("lint", 10), 100)])
    log.note([(2, progress("write", 5), 100)])
    log.note([(3, progress("lint", 40), 100)])
    assert [(s.phase, s.progress) for s in log.states()] == [("write", 5), ("lint", 40)]


def test_a_failure_keeps_the_progress_the_phase_had():
    log = EventLog("epoch")
    log.note([(4, progress("lint", 40), 100)])
    failed = accept(Event("phase_failed", NOON, phase="lint", error="no", run="r"))[0]
    assert log.progress(failed) == 40
    log.note([(5, complete(failed, log.progress(failed)), 100)])
    (state,) = log.states()
    assert (state.status, state.progress, state.error) == ("failed", 40, "no")


def test_runs_and_phases_kept_are_bounded_and_the_oldest_give_way():
    log = EventLog("epoch", max_runs=2, max_phases=3)
    for run in ("one", "two", "three"):
        for phase in ("a", "b", "c", "d"):
            log.note([(6, progress(phase, 1, run), 100)])
    assert [(s.run, s.phase) for s in log.states()] == [
        ("two", "b"),
        ("two", "c"),
        ("two", "d"),
        ("three", "b"),
        ("three", "c"),
        ("three", "d"),
    ]


@pytest.mark.parametrize(
    ("wanted", "phases"),
    [
        (Filter(run="two"), ["b"]),
        (Filter(phases=frozenset({"a"})), ["a"]),
        (Filter(types=frozenset({"file_trashed"})), []),
    ],
)
def test_states_pass_the_filter_too(wanted, phases):
    log = EventLog("epoch")
    log.note([(7, progress("a", 1, "one"), 100)])
    log.note([(8, progress("b", 1, "two"), 100)])
    assert [state.phase for state in log.states(wanted)] == phases


changes = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 99)))


@given(changes, changes, filters, st.integers(1, 400), st.integers(0, 5))
def test_states_taken_piece_by_piece_end_in_the_current_ones_whatever_changes_meanwhile(
    before, meanwhile, wanted, max_bytes, each_time
):
    log = EventLog("epoch")

    def change(run, phase, percent):
        offset = log.append(b"", About("phase_progress", run, phase))
        log.note([(offset, progress(phase, percent, run), 100)])

    for named in before:
        change(*named)
    seen, after = {}, 0
    while True:
        snapshot = log.states_after(after, wanted, max_bytes)
        assert sum(map(len, snapshot.payloads[:-1])) < max_bytes
        for payload in snapshot.payloads:
            state = json.loads(payload)
            seen[state["run"], state["phase"]] = state["progress"]
        after = snapshot.upto
        if after == log.last:
            break
        for named in meanwhile[:each_time]:
            change(*named)
        del meanwhile[:each_time]
    assert seen == {(s.run, s.phase): s.progress for s in log.states(wanted)}
