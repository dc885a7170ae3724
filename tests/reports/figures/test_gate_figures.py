"""The gate's own proof, drawn: seeded flaws by check, checks by service."""

from itertools import pairwise

from matplotlib.colors import to_rgb
from matplotlib.text import Text

from monitor.contract.evidence import load_run
from monitor.contract.verdicts import Verdict
from reports.dossier import open_dossier
from reports.figures.mutant_matrix import mutant_matrix
from reports.figures.target_matrix import target_matrix, twin_matrix
from reports.gate import check_key
from reports.runs import Evidence
from reports.sources import EVERY_AUDIT, Sources
from reports.style import new_figure, styled
from reports.tiles import LOOKS, worst
from tests.reports import synthetic


def of(run):
    return open_dossier(load_run(run), ())


def test_a_flaw_that_was_missed_is_named_and_a_stray_check_told(tmp_path):
    run = synthetic.write_trials(tmp_path, caught=("good", "fine"), missed=("slipped-through",))
    plot = mutant_matrix(of(run))
    assert plot.title == "2 of 3 seeded flaws are caught"
    assert plot.alt.endswith("Not caught: slipped-through.")
    assert {row[3] for row in plot.rows} == {"caught", "missed", "quiet"}


def test_the_names_of_flaws_that_were_missed_side_by_side_do_not_overlap(tmp_path):
    missed = ("first", "second", "third")
    run = synthetic.write_trials(tmp_path, caught=("good",), missed=missed)
    with styled():
        figure = new_figure(3)
        mutant_matrix(of(run)).draw(figure)
    heights = sorted(
        text.get_position()[1] for text in figure.findobj(Text) if text.get_text() in missed
    )
    assert min(after - before for before, after in pairwise(heights)) > 2


def test_an_alarm_on_a_correct_service_is_not_hidden_by_its_other_runs(tmp_path):
    run = synthetic.write_twins(tmp_path, {"plain": {"HS1": "PASS"}, "other": {"HS1": "FAIL"}})
    plot = twin_matrix(of(run))
    assert plot.title == "1 false alarm in 2 runs on correct services"
    assert ("HS1", "other", Verdict.FAIL) in plot.rows
    assert worst([Verdict.PASS, Verdict.FAIL, Verdict.PASS]) is Verdict.FAIL


def test_services_audited_are_held_side_by_side_from_the_newest_audit_of_each(tmp_path):
    synthetic.write_audit(tmp_path, {"HS1": "PASS", "HS10": "PASS", "HS2": "PASS"})
    synthetic.write_audit(tmp_path, {"HS1": "PASS"}, number=2, target="theirs")
    synthetic.write_audit(tmp_path, {"HS1": "FAIL"}, number=3, target="theirs")
    dossier = Sources((), "reference monitor", Evidence([tmp_path])).dossier(EVERY_AUDIT)
    plot = target_matrix(dossier)
    assert plot.title == "Theirs fails 1 check"
    assert ("HS1", "theirs", Verdict.FAIL) in plot.rows


def test_one_service_alone_is_no_comparison(tmp_path):
    assert target_matrix(of(synthetic.write_audit(tmp_path, {"HS1": "PASS"}))) is None


def test_checks_are_in_the_order_of_their_numbers():
    assert sorted(["HS10", "HS2", "AU1"], key=check_key) == ["AU1", "HS2", "HS10"]


def test_a_failure_stands_out_among_passes_in_greyscale():
    def light(verdict):
        red, green, blue = to_rgb(LOOKS[verdict].fill)
        return 0.299 * red + 0.587 * green + 0.114 * blue

    assert light(Verdict.PASS) - light(Verdict.FAIL) > 0.2
    assert light(Verdict.NOT_APPLICABLE) - light(Verdict.PASS) > 0.1
    assert [word for word, look in LOOKS.items() if look.framed] == [
        Verdict.FAIL,
        Verdict.INCONCLUSIVE,
    ]
