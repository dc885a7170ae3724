"""What `make chapter` makes: the runs nobody has made of today's monitor."""

import sys

import pytest

from reports.runs import Evidence
from reports.sources import AUDIT
from scripts import chapter_runs
from scripts.chapter_runs import COMMANDS, missing
from tests.reports import synthetic

TARGET = "reference monitor"
CODE = synthetic.PROVENANCE.code_sha256


def lacking(folder, target=TARGET, code=CODE, checks=frozenset({"HS1"})):
    return missing(Evidence([folder]), target, code, checks)


def test_everything_is_missing_where_nothing_was_run(tmp_path):
    assert lacking(tmp_path) == tuple(COMMANDS) == ("chapter", "limit-flood", "protocol", AUDIT)


def test_a_run_of_each_source_is_not_made_again(tmp_path):
    for scenario in ("chapter", "limit-flood", "protocol"):
        synthetic.write_scenario(tmp_path, scenario)
    assert lacking(tmp_path) == (AUDIT,)
    synthetic.write_audit(tmp_path, {"HS1": "PASS"})
    assert lacking(tmp_path) == ()


def test_runs_of_other_code_of_another_service_or_without_a_verdict_do_not_count(tmp_path):
    synthetic.write_scenario(tmp_path, "chapter")
    assert "chapter" not in lacking(tmp_path)
    assert "chapter" in lacking(tmp_path, code="0" * 64)
    assert "chapter" in lacking(tmp_path, target="their service")
    synthetic.write_empty_run(tmp_path / "invalid")
    assert "chapter" in lacking(tmp_path / "invalid")


def test_an_audit_of_some_checks_does_not_count(tmp_path):
    synthetic.write_audit(tmp_path, {"HS1": "PASS"}, only="HS*")
    assert AUDIT in lacking(tmp_path)


def test_an_audit_by_a_gate_that_has_grown_since_does_not_count(tmp_path):
    synthetic.write_audit(tmp_path, {"HS1": "PASS"})
    assert AUDIT not in lacking(tmp_path)
    assert AUDIT in lacking(tmp_path, checks={"HS1", "HS2"})


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A folder without runs, kept ones included."""
    monkeypatch.setattr(chapter_runs, "evidence_folders", lambda runs: (tmp_path / runs,))
    return tmp_path


def commanded(monkeypatch, **programs):
    commands = {name: ("-c", program) for name, program in programs.items()}
    monkeypatch.setattr(chapter_runs, "COMMANDS", commands)


def test_a_command_that_could_not_measure_ends_the_rest_with_its_code(empty, monkeypatch, capfd):
    commanded(monkeypatch, chapter="raise SystemExit(2)", protocol="print('made')")
    assert chapter_runs.main() == 2
    assert "made" not in capfd.readouterr().err


def test_a_run_that_is_invalid_is_named_and_the_others_are_made(empty, monkeypatch, capfd):
    write = (
        f"import sys; sys.path[:] = {sys.path!r}; from pathlib import Path;"
        "from tests.reports import synthetic;"
        f"synthetic.write_empty_run(Path({str(empty)!r}) / 'runs')"
    )
    commanded(monkeypatch, chapter=f"{write}; raise SystemExit(3)", protocol="print('made')")
    assert chapter_runs.main() == 0
    said = capfd.readouterr().err
    assert "the run of chapter is INVALID and leaves its claims open" in said
    assert "made" in said
