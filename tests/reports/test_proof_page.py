"""The page that proves the gate says what its kept evidence says, and that evidence is a proof."""

from pathlib import Path

import pytest

from monitor.contract.claims import load_claims
from monitor.contract.evidence import load_run
from monitor.contract.verdicts import RunVerdict
from reports.chapter import compose
from reports.gate import trials, twin_runs
from reports.runs import Evidence
from reports.sources import MUTANTS, TWINS, is_from
from securitytests.gate.twins import LEAST_APPLICABLE, services
from securitytests.mutants.registry import discover
from tests.reports.conftest import CLAIMS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "proof.md"
KEPT = ROOT / "reports" / "data"
SERVICES = ROOT / "tests" / "services"
REPAIR = "repair it with `make proof`, and keep its runs with `wsproof report keep RUN`"

#: Runs on correct services that bound false alarms: 3/20, that is 15 %.
LEAST_TWIN_RUNS = 20


@pytest.fixture(scope="module")
def composed():
    return compose(PAGE, load_claims(CLAIMS), "reference monitor", Evidence([KEPT]), same_runs=True)


@pytest.fixture(scope="module")
def kept(composed):
    """The runs the page is made from, by scenario."""
    return {record.scenario: load_run(KEPT / record.id) for record in composed.records}


def test_its_tables_and_figures_are_made_from_the_kept_evidence(composed):
    assert composed.diff() == "", REPAIR
    assert composed.stale == (), REPAIR


def test_it_shows_flaws_and_alarms_in_figures_and_pictures(composed):
    assert composed.without == ()
    text = PAGE.read_text(encoding="utf-8")
    for name in ("seeded-flaws", "mutant-matrix", "false-alarms", "twin-matrix"):
        assert f"<!-- BEGIN wsproof:{name} run=" in text, REPAIR


@pytest.mark.parametrize("scenario", [MUTANTS, TWINS])
def test_its_runs_are_whole_and_came_to_a_verdict(kept, scenario):
    record = kept[scenario].record
    assert (record.verdict, record.reasons) == (RunVerdict.VALID, ()), REPAIR
    assert is_from(scenario, record), REPAIR


def test_every_flaw_of_today_was_caught_and_by_no_check_that_should_not(kept):
    found = trials(kept[MUTANTS])
    assert {one.mutant: one.word for one in found if one.word != "caught"} == {}, REPAIR
    assert {one.mutant: one.strays for one in found if one.strays} == {}, REPAIR
    assert {one.mutant for one in found} == discover().keys(), REPAIR


def test_no_run_on_a_correct_service_of_today_was_anything_but_clean(kept):
    runs = twin_runs(kept[TWINS])
    assert [(run.service, run.alarms, run.undecided) for run in runs if not run.clean] == [], REPAIR
    assert len(runs) >= LEAST_TWIN_RUNS, REPAIR
    assert {run.service for run in runs} == {one.name for one in services(SERVICES)}, REPAIR
    assert min(run.applicable for run in runs) >= LEAST_APPLICABLE, REPAIR
