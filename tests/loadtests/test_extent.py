"""How much a run is said to do, and for how long, is what its scenario really does."""

import json
import re
from pathlib import Path

import pytest

from loadtests.catalogue import PAGE, REFERENCE, entries
from loadtests.extent import extent
from loadtests.plan import DRAIN_S, asked_of, extent_of
from loadtests.scenarios import discover
from loadtests.schedule.course import Move, Point, steady
from loadtests.search import Trial, most, trials
from monitor.contract.target import load_target
from scripts.wsproof import run

_SEARCHES = {name for name, one in discover().items() if one.seeks}


@pytest.mark.parametrize("name", sorted(discover().keys() - _SEARCHES))
def test_as_many_repeats_are_told_as_are_made(name: str) -> None:
    scenario = discover()[name]
    asked = asked_of(scenario, load_target(REFERENCE))
    found = extent_of(scenario, asked)
    steps = list(scenario.steps(asked))
    assert found.planned == len(steps)
    assert len({one.label for one in steps}) == found.points
    measured_s = sum(one.warmup_s + one.window_s for one in steps)
    assert measured_s < found.takes_s[0] == found.takes_s[1]


def test_list_and_page_say_the_same_of_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["load", "--list"]) == 0
    listed = capsys.readouterr().out
    page = PAGE.read_text(encoding="utf-8")
    for one in entries(load_target(REFERENCE)):
        said = f"{one.name} +{re.escape(f'{one.extent.offered}, {one.extent.takes}')} "
        assert re.search(f"^{said}", listed, re.MULTILINE)
        assert f"| {one.extent.offered} | {one.extent.takes} |" in page
    assert re.search(r"^fanout +9 points × 5 × 2\.5 s, about ", listed, re.MULTILINE)


def test_the_list_for_a_program_has_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["load", "--list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed.keys() == discover().keys()
    fanout = listed["fanout"]
    assert (fanout["points"], fanout["repeats"], fanout["window_s"]) == (9, 5, 2.5)
    least, most_ = listed["capacity"]["attempts"]
    assert 0 < least < most_


def test_the_list_says_what_a_profile_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare.toml"
    bare.write_text('name = "bare"\nurl = "ws://127.0.0.1:9/"\n[publish]\nmessage = "{event}"\n')
    assert run(["load", "--list", "--target", str(bare)]) == 0
    listed = capsys.readouterr().out
    assert re.search(r"^resume +needs resume +Connections", listed, re.MULTILINE)
    assert "What bare.toml lacks: docs/targets.md." in listed


def test_clients_that_take_longer_to_come_and_restarts_are_counted_in() -> None:
    few = extent([steady(50, 100.0, 1.0, 10.0)], 5, DRAIN_S).takes_s[0]
    many = extent([steady(1050, 100.0, 1.0, 10.0)], 5, DRAIN_S).takes_s[0]
    assert many - few == pytest.approx(6 * 10)  # ten seconds each, calibration too
    restarting = Point(50, ((0.0, 100.0),), 1.0, 10.0, moves=(Move(2.0, "restart"),))
    assert extent([restarting], 5, DRAIN_S).takes_s[0] - few == pytest.approx(5 * DRAIN_S)


@pytest.mark.parametrize("answer", [7, 50, 90, 333])
def test_a_search_takes_as_many_trials_as_are_told(answer: int) -> None:
    search, made = most(50, 100_000), 0
    trial: Trial | None = next(search)
    while trial is not None:
        made += 1
        try:
            trial = search.send(trial.value <= answer)
        except StopIteration:
            trial = None
    least, at_most = trials(50)
    assert least <= made <= at_most
