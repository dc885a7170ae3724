"""Where a window ends that was cut while the publisher was at work."""

from pathlib import Path

import numpy as np
import pytest

from loadtests.schedule.timetable import PUSHED_BACK, SENT, Timetable


@pytest.fixture
def timetable(tmp_path: Path) -> Timetable:
    """Ten events, 100 ns apart, due from 1,000 on; those from the third on are measured."""
    made = Timetable.create(tmp_path / "timetable", np.arange(10, dtype=np.int64) * 100, 200)
    made.start(1_000)
    return made


def test_a_window_whose_events_were_all_sent_ends_where_it_was_cut(timetable: Timetable) -> None:
    timetable.fate[:6] |= SENT
    assert timetable.cut_short(1_550) == 1_550


def test_what_was_due_and_not_sent_any_more_is_outside(timetable: Timetable) -> None:
    timetable.fate[:4] |= SENT
    end_ns = timetable.cut_short(1_550)
    assert timetable.due_before(end_ns) == 4


def test_what_the_target_held_up_stays_inside(timetable: Timetable) -> None:
    timetable.fate[:4] |= SENT
    timetable.fate[4:] |= PUSHED_BACK
    assert timetable.cut_short(1_550) == 1_550


def test_a_window_cut_before_it_began_is_empty(timetable: Timetable) -> None:
    assert timetable.due_before(timetable.cut_short(1_100)) <= timetable.window_first
