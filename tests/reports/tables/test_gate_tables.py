"""The gate's own proof in figures: flaws caught of those seeded, alarms on correct services."""

import msgspec
import pytest

from monitor.contract.evidence import RunWriter, load_run
from monitor.contract.verdicts import RunVerdict, Verdict
from reports.dossier import open_dossier
from reports.gate import Trial
from reports.runs import Evidence
from reports.sources import MUTANTS, TWINS, Sources, is_from
from reports.tables.false_alarms import false_alarms
from reports.tables.seeded_flaws import seeded_flaws
from securitytests.gate.mutation import judge_trial
from securitytests.mutants.registry import Mutant
from tests.reports import synthetic
from tests.securitytests.test_outputs import finding


def of(run):
    return open_dossier(load_run(run), ())


def test_flaws_are_counted_and_a_missed_one_is_named(tmp_path):
    run = synthetic.write_trials(tmp_path, caught=("good", "fine"), missed=("slipped-through",))
    made = seeded_flaws(of(run))
    assert made.rows == (("part of no claim", "2", "3"), ("**All**", "2", "3"))
    assert "Not caught: slipped-through." in made.notes


@pytest.mark.parametrize(
    ("verdict", "word"),
    [
        (Verdict.PASS, "missed"),
        (Verdict.WAIVED, "missed"),
        (Verdict.NOT_APPLICABLE, "missed"),
        (Verdict.INCONCLUSIVE, "undecided"),
        (Verdict.NOT_RUN, "undecided"),
    ],
)
def test_a_flaw_is_told_as_the_gate_itself_tells_it(verdict, word):
    flaw = Trial("open", "it is open", None, ("HS1",), (), {"HS1": verdict}, False, (), "")
    assert flaw.word == word
    mutant = Mutant("open", "it is open", None, ("HS1",), (), None)
    judged = judge_trial(mutant, {"HS1": finding("HS1", verdict)}, 1.0)
    assert judged.word == word.upper()


def test_a_flaw_that_could_not_be_tried_is_neither_missed_nor_undecided(tmp_path):
    run = load_run(synthetic.write_trials(tmp_path, caught=("good",), missed=("broken",)))
    flaws = [
        msgspec.convert({**line, "defect": "" if line["detected"] else "no such snippet"}, Trial)
        for line in run.lines("mutants.jsonl")
    ]
    assert [one.word for one in flaws] == ["caught", "defect"]


def test_clean_runs_bound_the_share_of_false_alarms(tmp_path):
    services = {f"service {number}": {"HS1": "PASS"} for number in range(20)}
    made = false_alarms(of(synthetic.write_twins(tmp_path, services)))
    assert made.rows[-1] == ("**All**", "20", "20", "0", "0", "1 of 1")
    assert made.notes[0] == (
        "False alarms/clean runs: 0/20: at most 15 % of runs raise one (3/n, 95 % confidence, for"
        " independent runs, as if the 20 services were one)."
    )


def test_the_bound_on_false_alarms_is_rounded_up(tmp_path):
    services = {f"service {number}": {"HS1": "PASS"} for number in range(86)}
    made = false_alarms(of(synthetic.write_twins(tmp_path, services)))
    assert "at most 4 % of runs" in made.notes[0]


def test_an_alarm_leaves_no_bound_and_is_told(tmp_path):
    run = synthetic.write_twins(tmp_path, {"plain": {"HS1": "PASS"}, "other": {"HS1": "FAIL"}})
    made = false_alarms(of(run))
    assert made.notes[0] == "False alarms/clean runs: 1/1, of 2 runs: no bound follows."
    assert made.notes[1].startswith("other, HS1: ")


@pytest.mark.parametrize(("source", "only"), [(MUTANTS, "HS1"), (TWINS, "HS*")])
def test_a_part_of_the_flaws_or_checks_stands_for_no_whole(tmp_path, source, only):
    synthetic.write_trials(tmp_path, caught=("good",))
    synthetic.write_twins(tmp_path, {"plain": {"HS1": "PASS"}})
    dossier = Sources((), "reference monitor", Evidence([tmp_path])).dossier(source)
    assert is_from(source, dossier.record)
    parameters = {**dossier.record.parameters, "only": only}
    assert not is_from(source, msgspec.structs.replace(dossier.record, parameters=parameters))


@pytest.mark.parametrize("source", [MUTANTS, TWINS])
def test_a_trial_that_did_not_come_to_its_end_never_takes_the_place_of_a_whole_one(
    tmp_path, source
):
    write = {
        MUTANTS: lambda: synthetic.write_trials(tmp_path, caught=("good",)),
        TWINS: lambda: synthetic.write_twins(tmp_path, {"one": {"HS1": "PASS"}}),
    }[source]
    whole = load_run(write())
    later = f"99990101-000000-audit-{source}-ffff"
    with RunWriter(tmp_path, later) as writer:
        writer.finish(
            msgspec.structs.replace(
                whole.record, id=later, verdict=RunVerdict.INVALID, reasons=("interrupted",)
            )
        )
    dossier = Sources((), whole.record.target, Evidence([tmp_path])).dossier(source)
    assert dossier.record.id == whole.record.id
