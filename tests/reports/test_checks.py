import pytest

from monitor.contract.claims import Claim
from reports.runs import Evidence
from reports.standing import standings, standings_table
from tests.reports import synthetic

CLAIM = Claim(
    id="idle",
    label="Idle connections",
    claimed="closed",
    sentence="Idle connections time out.",
    checks=("idle", "CN4"),
)


def stands(root, claim=CLAIM):
    (found,) = standings([claim], None, Evidence([root]))
    return found.judgement


@pytest.mark.parametrize(
    ("verdicts", "expected", "reason"),
    [
        ({"ID1": "PASS", "CN4": "PASS"}, "TRUE", "checks_passed >= 2 checks holds"),
        ({"ID1": "PASS", "CN4": "FAIL"}, "FALSE", "CN4 is FAIL"),
        ({"ID1": "INCONCLUSIVE", "CN4": "FAIL"}, "FALSE", "CN4 is FAIL, ID1 is INCONCLUSIVE"),
        ({"ID1": "PASS", "CN4": "INCONCLUSIVE"}, "UNPROVEN", "CN4 is INCONCLUSIVE"),
        ({"ID1": "PASS", "CN4": "NOT_RUN"}, "UNPROVEN", "CN4 is NOT_RUN"),
        ({"ID1": "NOT_APPLICABLE", "CN4": "PASS"}, "UNPROVEN", "ID1 is NOT_APPLICABLE"),
        ({"ID1": "WAIVED", "CN4": "PASS"}, "UNPROVEN", "ID1 is WAIVED"),
        ({"ID1": "PASS"}, "UNPROVEN", "CN4 is not in the audit"),
        ({"ID1": "FAIL"}, "FALSE", "ID1 is FAIL, CN4 is not in the audit"),
        ({}, "UNPROVEN", "CN4 is not in the audit"),
    ],
)
def test_a_claim_on_checks_is_true_only_if_all_that_carry_it_pass(
    tmp_path, verdicts, expected, reason
):
    synthetic.write_audit(tmp_path, verdicts, claims={"ID1": "idle"})
    judgement = stands(tmp_path)
    assert (judgement.verdict, judgement.reason) == (expected, reason)


def test_checks_an_audit_does_not_know_are_named_or_counted(tmp_path):
    synthetic.write_audit(tmp_path, {"HS1": "PASS"})
    two = synthetic.changed(CLAIM, checks=("ID1", "ID2"))
    assert stands(tmp_path, two).reason == "ID1, ID2 are not in the audit"
    many = synthetic.changed(CLAIM, checks=("ID1", "ID2", "ID3", "CN1", "CN2"))
    assert stands(tmp_path, many).reason == "ID1, ID2, ID3 and 2 more are not in the audit"


def test_a_claim_that_no_check_of_the_audit_carries_is_unproven(tmp_path):
    synthetic.write_audit(tmp_path, {"HS1": "PASS"})
    claim = synthetic.changed(CLAIM, checks=("idle", "ID*"))
    assert stands(tmp_path, claim).reason == "no check of the audit carries it"


def test_one_failure_outweighs_every_pass_even_of_a_baseline_named_by_id(tmp_path):
    synthetic.write_audit(tmp_path, {"CN4": "FAIL", "HS1": "FAIL"}, claims={})
    assert stands(tmp_path).reason == "CN4 is FAIL"


def test_an_invalid_audit_proves_nothing(tmp_path):
    synthetic.write_audit(tmp_path, {"CN4": "FAIL"}, verdict="INVALID")
    assert stands(tmp_path).reason == "the run is INVALID"


def test_an_audit_of_chosen_checks_decides_no_claim(tmp_path):
    synthetic.write_audit(tmp_path, {"CN4": "PASS"}, only="CN*")
    judgement = stands(tmp_path)
    assert (judgement.verdict, judgement.measured) == ("UNPROVEN", None)
    assert judgement.reason == "no audit; make one with `wsproof audit`"


def test_shortened_windows_do_not_prove_a_figure_per_minute(tmp_path):
    claim = synthetic.changed(CLAIM, real_time=True)
    synthetic.write_audit(tmp_path, {"CN4": "PASS"}, real_time=False)
    assert stands(tmp_path, claim).reason == "no audit; make one with `wsproof audit --real-time`"
    synthetic.write_audit(tmp_path, {"CN4": "PASS"}, real_time=True, number=2)
    assert stands(tmp_path, claim).verdict == "TRUE"


def test_the_table_counts_the_checks_and_marks_evidence_of_another_machine(tmp_path):
    run = synthetic.write_audit(tmp_path, {"ID1": "FAIL", "CN4": "PASS"}, claims={"ID1": "idle"})
    table = standings_table(standings([CLAIM], None, Evidence([tmp_path])), host="here")
    assert table.rows == (
        (
            "Idle connections",
            "closed",
            "1 of 2 checks pass",
            "**FALSE**",
            f"`{run.name}` (another machine)",
        ),
    )


def test_a_claim_that_nothing_measures_is_unproven_and_says_so(tmp_path):
    claim = synthetic.changed(CLAIM, checks=(), unmeasured="no meter")
    assert stands(tmp_path, claim).reason == "nothing measures it: no meter"
