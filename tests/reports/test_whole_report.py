"""The report over everything there is: each claim and figure from the newest run that suits it."""

import json

import pytest

from monitor.contract.verdicts import ExitCode, NoVerdictError
from reports.account import of_evidence
from reports.build import concluded, publish
from reports.runs import Evidence
from tests.reports import synthetic

TARGET = "reference monitor"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    synthetic.write_run(folder, synthetic.QUICK)
    synthetic.write_audit(folder, {"HS1": "PASS"}, claims={"HS1": "unauthorized-rejected"})
    synthetic.write_trials(folder, caught=("seeded-one",), missed=("seeded-two",))
    synthetic.write_twins(folder, {"plain": {"HS1": "PASS"}, "other": {"HS1": "FAIL"}})
    return folder


@pytest.fixture(scope="module")
def account(runs, claims):
    return of_evidence(claims, TARGET, Evidence([runs]), host="elsewhere")


@pytest.fixture(scope="module")
def report(account, tmp_path_factory):
    return publish(account, tmp_path_factory.mktemp("whole") / "report")


def test_it_puts_load_audit_flaws_and_correct_services_on_one_page(account, report):
    assert [record.scenario for record in account.records] == [
        "chapter",
        "gate",
        "mutants",
        "twins",
    ]
    names = [one.name for one in account.shown]
    for name in ("latency-percentiles", "security-matrix", "mutant-matrix", "twin-matrix"):
        assert name in names
        assert (report.folder / f"{name}.svg").is_file()
    assert [names.count(name) for name in ("claims", "conditions", "runs")] == [1, 1, 1]
    text = report.page.read_text()
    assert text.index("<h1>") < text.index('class="claims"') < text.index("<figure")


def test_every_claim_is_judged_and_names_the_run_it_rests_on(account, report, claims):
    assert [one.judgement.claim.id for one in account.standings] == [one.id for one in claims]
    summary = json.loads((report.folder / "report.json").read_text())
    by_id = {one["claim"]["id"]: one for one in summary["claims"]}
    assert by_id["memory"]["run"] == synthetic.RUN_ID
    assert by_id["unauthorized-rejected"]["verdict"] == "TRUE"
    assert by_id["event-types"]["run"] is None
    assert summary["exit_code"] == concluded(account) == ExitCode.NO_VERDICT


def test_evidence_from_another_machine_is_marked(report):
    page = report.markdown.read_text()
    assert f"`{synthetic.RUN_ID}` (another machine)" in page


def test_the_commands_that_made_the_runs_stand_before_the_one_that_makes_the_report(report):
    page = report.markdown.read_text()
    assert "\nwsproof report build\n```" in page
    assert page.count("\nwsproof load chapter\n") == 1


def test_a_newer_false_run_outweighs_all(claims, runs, tmp_path):
    synthetic.write_run(tmp_path, synthetic.SLOW, run_id="20250102-120000-load-chapter-5eed")
    found = of_evidence(claims, TARGET, Evidence([runs, tmp_path]))
    assert concluded(found) is ExitCode.BROKEN


def test_runs_of_another_service_alone_give_no_report(claims, tmp_path):
    synthetic.write_run(tmp_path, synthetic.QUICK, target="their service")
    with pytest.raises(NoVerdictError, match="no run of reference monitor yet; measure first"):
        of_evidence(claims, TARGET, Evidence([tmp_path]))
