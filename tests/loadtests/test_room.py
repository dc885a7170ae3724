"""What must hold for the folder as a whole."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

import loadtests
from loadtests.catalogue import PAGE, renewed
from loadtests.figures import REPEATS_FOR_INTERVAL
from loadtests.scenarios import Scenario, discover, find
from monitor.contract.verdicts import UsageError

ROOM = Path(loadtests.__file__).parent


def test_no_file_shadows_a_module_locust_or_python_needs() -> None:
    """Locust puts this folder first on sys.path."""
    ours = {path.stem for path in ROOM.iterdir() if path.suffix in {".py", ""}} - {"__init__"}
    installed = set(importlib.metadata.packages_distributions()) - {"loadtests"}
    assert not ours & (set(sys.stdlib_module_names) | installed)


def test_every_scenario_is_found_and_says_what_it_is() -> None:
    scenarios = discover()
    files = {path.stem for path in (ROOM / "scenarios").glob("*.py")} - {"__init__"}
    assert {name.replace("-", "_") for name in scenarios} == files
    for scenario in scenarios.values():
        assert issubclass(scenario, Scenario)
        assert scenario.title().endswith(".")
        assert scenario.clients > 0
        assert scenario.rate > 0


def test_a_scenario_has_repeats_for_an_interval_or_says_what_its_interval_is() -> None:
    for name, scenario in discover().items():
        enough = scenario.repeats >= REPEATS_FOR_INTERVAL
        assert enough is not bool(scenario.once), name
        assert enough or "interval" in scenario.once, name


def test_an_unknown_scenario_is_answered_with_the_closest() -> None:
    with pytest.raises(UsageError, match="did you mean 'chapter'"):
        find("chaptre")


def test_the_chapters_scenario_is_what_the_chapter_claims() -> None:
    chapter = find("chapter")
    assert (chapter.clients, chapter.rate, chapter.repeats) == (50, 1100, 5)
    assert chapter.trace.is_file()


def test_the_page_on_scenarios_has_every_one_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert renewed(page) == page, "stale: run `.venv/bin/python -m loadtests.catalogue`"
