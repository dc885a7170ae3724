"""The page that proves the gate says what its kept evidence says."""

from pathlib import Path

import pytest

from monitor.contract.claims import load_claims
from reports.chapter import compose
from reports.runs import Evidence
from tests.reports.conftest import CLAIMS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "proof.md"
KEPT = ROOT / "reports" / "data"
REPAIR = "repair it with `make proof`, and keep its runs with `wsproof report keep RUN`"


@pytest.fixture(scope="module")
def composed():
    return compose(PAGE, load_claims(CLAIMS), "reference monitor", Evidence([KEPT]), same_runs=True)


def test_its_tables_and_figures_are_made_from_the_kept_evidence(composed):
    assert composed.diff() == "", REPAIR
    assert composed.stale == (), REPAIR


def test_it_shows_flaws_and_alarms_in_figures_and_pictures(composed):
    assert composed.without == ()
    text = PAGE.read_text(encoding="utf-8")
    for name in ("seeded-flaws", "mutant-matrix", "false-alarms", "twin-matrix"):
        assert f"<!-- BEGIN wsproof:{name} run=" in text, REPAIR
