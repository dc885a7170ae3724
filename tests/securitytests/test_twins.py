"""Correct services: who is tried when, what counts as an alarm, and a real run of each."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from monitor.contract.evidence import load_run
from monitor.contract.verdicts import ExitCode, UsageError, Verdict
from securitytests.check import discover
from securitytests.gate.plan import make_plan
from securitytests.gate.record import AuditRecorder
from securitytests.gate.run import Outcome
from securitytests.gate.twins import (
    LEAST_APPLICABLE,
    TwinRun,
    broad_services,
    judge_run,
    most_false_alarms,
    narrow_services,
    schedule,
    services,
    twins_exit_code,
)
from securitytests.outputs import table
from tests.securitytests.test_outputs import finding

ROOT = Path(__file__).parents[2]
TWINS = ROOT / "tests" / "services"


def run(*verdicts, service="one", defect=""):
    """A run whose checks concluded so."""
    found = tuple(finding(f"HS{number}", verdict) for number, verdict in enumerate(verdicts, 1))
    judged = judge_run(service, 1, Outcome(found, (), 1.0, "ws://127.0.0.1:1/"))
    return TwinRun(service, 1, {}, {}, {}, 0, 0, defect, 0.0) if defect else judged


CLEAN = (Verdict.PASS, Verdict.NOT_APPLICABLE)


def test_each_service_has_its_turn_equally_often_in_an_order_the_seed_decides():
    drawn = schedule(5, 20, 1)
    assert Counter(turn for turn, _ in drawn) == dict.fromkeys(range(5), 4)
    assert drawn == schedule(5, 20, 1) != schedule(5, 20, 2)
    assert len({seed for _, seed in drawn}) == 20
    assert {turn for turn, _ in schedule(5, 3, 1)} <= set(range(5))


def test_a_run_with_a_failure_or_without_a_verdict_is_not_clean():
    assert run(*CLEAN).clean
    assert list(run(Verdict.PASS, Verdict.FAIL).alarms) == ["HS2"]
    assert list(run(Verdict.INCONCLUSIVE).undecided) == ["HS1"]
    assert not run(Verdict.NOT_RUN).clean
    assert not run(Verdict.NOT_APPLICABLE).clean
    assert not run(defect="it did not start").clean


def test_what_is_only_reported_may_be_undecided_and_is_an_alarm_if_it_fails():
    def told(verdict):
        found = (finding("AU1", Verdict.PASS), finding("SC1", verdict, gating=False))
        return judge_run("one", 1, Outcome(found, (), 1.0, "ws://127.0.0.1:1/"))

    assert told(Verdict.INCONCLUSIVE).clean
    assert list(told(Verdict.FAIL).alarms) == ["SC1"]


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ([run(*CLEAN)] * 3, ExitCode.HOLDS),
        ([run(*CLEAN), run(Verdict.FAIL), run(Verdict.INCONCLUSIVE)], ExitCode.BROKEN),
        ([run(*CLEAN), run(Verdict.INCONCLUSIVE)], ExitCode.NO_VERDICT),
        ([run(*CLEAN), run(defect="it did not start")], ExitCode.NO_VERDICT),
        ([], ExitCode.NO_VERDICT),
    ],
)
def test_only_clean_runs_hold(runs, code):
    assert twins_exit_code(runs, whole=False) is code


def test_a_whole_run_on_a_service_with_too_few_applicable_checks_is_no_proof():
    enough, poor = run(*[Verdict.PASS] * LEAST_APPLICABLE), run(*CLEAN, service="poor")
    assert twins_exit_code([enough], whole=True) is ExitCode.HOLDS
    assert twins_exit_code([enough, poor], whole=True) is ExitCode.NO_VERDICT
    alarm = run(Verdict.FAIL, service="poor")
    assert twins_exit_code([alarm], whole=True) is ExitCode.BROKEN


def test_only_checks_that_came_to_a_verdict_count_as_applicable():
    verdicts = (Verdict.PASS, Verdict.WAIVED, Verdict.FAIL, *CLEAN)
    assert run(*verdicts, Verdict.INCONCLUSIVE, Verdict.NOT_RUN).applicable == 4


def test_the_rule_of_three_bounds_what_was_never_seen_and_nothing_else():
    assert most_false_alarms([run(*CLEAN)] * 20) == 0.15
    assert most_false_alarms([run(*CLEAN)] * 2) == 1.0
    assert most_false_alarms([*[run(*CLEAN)] * 20, run(Verdict.FAIL)]) is None
    assert most_false_alarms([]) is None


def test_a_service_is_broad_if_even_its_poorest_run_had_enough_applicable_checks():
    many, few = run(*[Verdict.PASS] * 41), run(*[Verdict.PASS] * 39, service="two")
    assert broad_services([many, few]) == {"one": 41}
    assert narrow_services([many, few]) == {"two": 39}
    assert broad_services([many, run(Verdict.PASS)]) == {}
    assert narrow_services([many, run(Verdict.PASS)]) == {"one": 1}


@pytest.mark.parametrize("target", services(TWINS), ids=lambda target: target.name)
def test_each_correct_service_leaves_enough_checks_applicable(target):
    declined = [check.id for check, _ in make_plan(target).left_out]
    left = [check.id for check in discover() if check.id not in declined]
    assert len(left) >= LEAST_APPLICABLE, declined


@pytest.mark.parametrize(
    ("only", "reasons"),
    [(None, ("fewer than 40 applicable checks on one",)), ("HS*", ())],
)
def test_the_evidence_says_on_which_service_too_few_were_applicable(tmp_path, only, reasons):
    recorder = AuditRecorder(tmp_path, "wsproof audit --twins", TWINS, code=TWINS)
    record = load_run(recorder.twins([run(*CLEAN)], real_time=False, only=only)).record
    assert (record.reasons, record.verdict) == (reasons, "SUSPECT" if reasons else "VALID")


def test_the_table_tells_of_each_run_and_sums_up():
    shown = table.twins([run(*CLEAN), run(Verdict.FAIL, service="two")], whole=False)
    assert "clean     one " in shown
    assert "ALARM     two " in shown
    assert "HS1: query: expected refused" in shown
    assert "1/1  false alarms/clean runs, of 2 runs" in shown
    assert "3/n" not in shown
    assert "no verdict:" not in shown
    whole = table.twins([run(*CLEAN)], whole=True)
    assert "no verdict: services with fewer than 40: one (1)" in whole
    stalled = msgspec.structs.replace(run(*CLEAN), stalled_s=2.5)
    assert "stood still for 2.5 s" in table.twins([stalled], whole=False)
    assert "fewer than 15% of runs raise one (3/n" in table.twins([run(*CLEAN)] * 20, whole=False)


def test_a_folder_without_profiles_is_refused(tmp_path):
    with pytest.raises(UsageError, match="expected a folder with target profiles"):
        services(tmp_path)


@pytest.mark.slow
def test_the_gate_has_no_fault_to_find_with_a_correct_service(tmp_path):
    """Cheap checks of every kind on each service; `make twins` tries all of them, often."""
    command = [sys.executable, "-m", "scripts.wsproof", "audit", "--twins", str(TWINS)]
    options = ["--repeats", "4", "--only", "HS*,AU1,TK2,SE2,FR1,LK1", "--runs", str(tmp_path)]
    done = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0/4  false alarms/clean runs, of 4 runs" in done.stdout
    kept = load_run(next(tmp_path.iterdir()))
    assert (kept.record.scenario, kept.record.provenance.seed) == ("twins", 1)
    assert kept.record.metrics["twin_services"].value == 4
    lines = list(kept.lines("twins.jsonl"))
    assert json.loads(json.dumps(lines))[0]["verdicts"]["HS1"] == "PASS"
