"""The project's own chapter and README say what kept evidence says; every sentence stands."""

from pathlib import Path

import pytest

from monitor.contract.claims import load_claims_document
from reports.chapter import compose, read_document
from reports.runs import Evidence
from reports.sentences import misplaced
from scripts.cli.report import chosen_claims
from tests.reports.conftest import CLAIMS

ROOT = Path(__file__).parents[2]
CHAPTER = ROOT / "docs" / "chapter" / "real-time-monitoring.md"
KEPT = ROOT / "reports" / "data"
REPAIR = "repair it with `make chapter`, CHAPTER=README.md for that"


@pytest.fixture(scope="module", params=[CHAPTER, ROOT / "README.md"], ids=["chapter", "readme"])
def checked(request):
    _, claims, target = chosen_claims(None)
    return compose(request.param, claims, target, Evidence([KEPT]), same_runs=True)


def test_every_table_and_list_is_what_the_kept_evidence_says(checked):
    assert checked.diff() == "", REPAIR


def test_every_picture_is_made_from_the_kept_evidence(checked):
    assert checked.stale == (), REPAIR


def test_no_region_is_without_evidence_and_no_claim_in_it_is_false(checked):
    assert checked.without == ()
    assert checked.broken == ()


def test_every_claims_sentence_stands_where_the_claim_says(claims):
    document = load_claims_document(CLAIMS).document
    assert (CLAIMS.parent / document).resolve() == CHAPTER
    assert misplaced(claims, read_document(CHAPTER)) == ()


def test_the_command_says_the_same(wsproof, monkeypatch):
    monkeypatch.chdir(ROOT)
    done = wsproof("report", "chapter", CHAPTER, "--check")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
