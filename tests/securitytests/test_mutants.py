"""Seeded flaws: the gate bites, only where it should, and a mutant that does not fit is told."""

import subprocess
import sys
from pathlib import Path

import pytest

from monitor.contract.evidence import load_run
from monitor.contract.target import load_target
from monitor.contract.verdicts import ExitCode, NoVerdictError, RunVerdict, UsageError, Verdict
from scripts.audit_trials import chosen_mutants
from securitytests.check import Claim, discover
from securitytests.gate.mutation import (
    CONTROLS,
    chosen_checks,
    judge_trial,
    mutated,
    mutation_exit_code,
)
from securitytests.gate.plan import make_plan
from securitytests.gate.record import AuditRecorder
from securitytests.mutants.registry import Mutant, find
from securitytests.mutants.registry import discover as discover_mutants
from securitytests.outputs import matrix, table
from tests.securitytests.kit import REFERENCE
from tests.securitytests.test_outputs import finding

ROOT = Path(__file__).parents[2]


def _apply(patch):
    patch.changes += 1


def seeded(caught_by=("HS1",), may=("HS*",)):
    return Mutant("flaw", "wrong", Claim.UNAUTHORIZED, caught_by, may, _apply)


def found(said):
    """Findings by check, from their verdicts."""
    return {name: finding(name, Verdict(verdict)) for name, verdict in said.items()}


@pytest.mark.parametrize(
    ("verdicts", "detected", "strays", "code"),
    [
        ({"HS1": "FAIL", "AU1": "PASS"}, True, (), ExitCode.HOLDS),
        ({"HS1": "FAIL", "HS2": "FAIL"}, True, (), ExitCode.HOLDS),
        ({"HS1": "FAIL", "AU1": "FAIL"}, True, ("AU1",), ExitCode.BROKEN),
        ({"HS1": "FAIL", "AU1": "INCONCLUSIVE"}, True, (), ExitCode.NO_VERDICT),
        ({"HS1": "FAIL", "AU1": "NOT_APPLICABLE"}, True, ("AU1",), ExitCode.BROKEN),
        ({"HS1": "FAIL", "AU1": "WAIVED"}, True, (), ExitCode.HOLDS),
        ({"HS1": "INCONCLUSIVE"}, False, (), ExitCode.NO_VERDICT),
        ({}, False, (), ExitCode.NO_VERDICT),
        ({"HS1": "PASS"}, False, (), ExitCode.BROKEN),
    ],
)
def test_only_a_failure_of_every_named_check_detects_a_flaw(verdicts, detected, strays, code):
    trial = judge_trial(seeded(), found(verdicts), 1.0)
    assert (trial.detected, trial.strays) == (detected, strays)
    assert mutation_exit_code([trial]) is code


def test_a_flaw_that_could_not_be_tried_is_a_defect_whatever_was_found_before():
    trial = judge_trial(seeded(), found({"HS1": "FAIL"}), 1.0, "it did not start")
    assert not trial.detected
    assert mutation_exit_code([trial]) is ExitCode.NO_VERDICT


def test_a_flaw_that_one_named_check_lets_pass_is_missed_whatever_the_other_says():
    both = seeded(caught_by=("HS1", "HS2"))
    said = {"HS1": Verdict.PASS, "HS2": Verdict.INCONCLUSIVE}
    assert judge_trial(both, found(said), 1.0).word == "MISSED"
    assert judge_trial(both, found({**said, "HS1": Verdict.FAIL}), 1.0).word == "UNDECIDED"


def test_what_is_not_as_it_should_be_says_why_and_a_reported_check_may_leave_it_open():
    told = finding("SC1", Verdict.INCONCLUSIVE, gating=False)
    verdicts = {"HS1": "PASS", "AU1": "FAIL", "AU2": "INCONCLUSIVE", "AU3": "PASS"}
    trial = judge_trial(seeded(), {**found(verdicts), "SC1": told}, 1.0)
    assert (trial.strays, trial.unsettled) == (("AU1",), ("AU2",))
    assert list(trial.reasons) == ["HS1", "AU1", "AU2"]
    shown = table.trials([trial])
    assert "MISSED    flaw" in shown
    assert "HS1; also failed or no longer applied: AU1; no verdict: AU2" in shown
    assert "AU1: query: expected refused" in shown


def test_the_matrix_marks_what_each_check_said_of_each_flaw():
    said = {"HS1": "FAIL", "HS2": "FAIL", "AU1": "PASS", "AU5": "FAIL", "FR1": "INCONCLUSIVE"}
    gone = {"HS1": "PASS", "AU5": "NOT_APPLICABLE"}
    trials = [judge_trial(seeded(), found(one), 1.0) for one in (said, gone)]
    rows = matrix.render(trials, discover()).splitlines()
    assert rows[:5] == [
        "      AAFHH",
        "      UURSS",
        "      15112",
        "flaw  .!?#+",
        "flaw   ! o ",
    ]


def test_a_trial_during_which_the_audit_stood_still_is_doubted(tmp_path):
    plan = make_plan(load_target(REFERENCE))
    trial = judge_trial(seeded(), found({"HS1": "FAIL"}), 1.0, stalled_s=2.5)
    assert "the audit itself stood still for 2.5 s" in table.trials([trial])
    recorder = AuditRecorder(tmp_path, "wsproof audit --mutants", plan.target.path)
    record = load_run(recorder.trials(plan, [trial], full=True)).record
    assert record.verdict is RunVerdict.SUSPECT
    assert "stood still for 2.5 s" in record.reasons[0]


def test_nothing_tried_is_no_verdict():
    assert mutation_exit_code([]) is ExitCode.NO_VERDICT


def test_each_mutant_meets_its_checks_and_controls_it_may_not_disturb():
    checks = discover()
    for mutant in discover_mutants().values():
        chosen = [check.id for check in chosen_checks(mutant, checks, full=False)]
        assert chosen[: len(mutant.caught_by)] == list(mutant.caught_by)
        assert len(chosen) == len(mutant.caught_by) + CONTROLS
        assert len(set(chosen)) == len(chosen)
        assert len(chosen_checks(mutant, checks, full=True)) == len(checks)


def test_a_mutant_of_a_check_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="names ZZ9, which is no check"):
        chosen_checks(seeded(caught_by=("ZZ9",)), discover(), full=False)


def test_only_the_reference_monitor_has_mutants():
    target = load_target(ROOT / "loadtests" / "nullserver.toml")
    with pytest.raises(UsageError, match="needs the profile of the reference monitor"):
        mutated(target, "any_origin")


def test_flaws_that_are_not_there_are_no_verdict_and_nothing_is_tried():
    assert {"any_origin", "errors_become_markup"} <= {
        one.name for one in chosen_mutants("any_origin, HT5")
    }
    assert chosen_mutants("ht5") == chosen_mutants("HT5")
    with pytest.raises(
        NoVerdictError, match=r"none of \d+ seeded flaws.* 'any_orign'; did you mean any_origin\?"
    ):
        chosen_mutants("HT5,any_orign")
    with pytest.raises(NoVerdictError, match="matches ''"):
        chosen_mutants(",")


def test_an_unknown_mutant_is_answered_with_the_closest():
    with pytest.raises(UsageError, match="did you mean 'any_origin'"):
        find("any_orign")


def test_every_mutant_still_fits_the_code_it_changes():
    """In a process of its own, since patches stay."""
    program = (
        "import sys\n"
        "from securitytests.mutants.patch import Patch\n"
        "from securitytests.mutants.registry import discover\n"
        "for mutant in discover().values():\n"
        "    if not __import__('os').fork():\n"
        "        patch = Patch()\n"
        "        try:\n"
        "            mutant.apply(patch)\n"
        "            assert patch.changes, 'it changes nothing'\n"
        "        except Exception as error:\n"
        "            print(f'{mutant.name}: {error}', flush=True)\n"
        "        __import__('os')._exit(0)\n"
        "    __import__('os').wait()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.alone
def test_every_flaw_is_caught_by_its_checks_and_disturbs_no_other(tmp_path):
    """All of them, each against the checks that must catch it and three controls."""
    command = [sys.executable, "-m", "scripts.wsproof", "audit", "--mutants"]
    done = subprocess.run(
        [*command, "--runs", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run = load_run(next(tmp_path.iterdir()))
    metrics, seeded = run.record.metrics, len(discover_mutants())
    assert f"{seeded}/{seeded}  detected/seeded" in done.stdout
    assert (run.record.scenario, run.record.verdict) == ("mutants", "VALID")
    assert metrics["mutants_seeded"].value == metrics["mutants_detected"].value == seeded
    assert metrics["mutants_with_strays"].value == 0
    for claim in Claim:
        assert metrics[f"{claim.metric}_mutants_seeded"].value >= 2
    assert all(line["verdicts"] and line["detected"] for line in run.lines("mutants.jsonl"))
