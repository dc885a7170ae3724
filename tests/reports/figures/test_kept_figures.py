"""Figures of the protocol, the limits and the gate, made from the real runs that are kept."""

from pathlib import Path

import numpy as np
import pytest

from monitor.contract.evidence import RunWriter, load_run
from monitor.contract.tables import ADMISSIONS
from reports.admissions import attempts, in_window
from reports.dossier import open_dossier
from reports.figures.ch3_auth import ch3_auth
from reports.figures.ch3_monitoring import ch3_monitoring
from reports.figures.security_matrix import security_matrix
from reports.figures.storms import connect_storm
from reports.render_figure import render_figure
from reports.runs import Evidence
from reports.sources import is_from
from reports.tables.authentication import authentication
from reports.tables.checks import checks
from reports.tables.event_types import event_types
from tests.reports import synthetic

KEPT = Path(__file__).parents[3] / "reports" / "data"


def kept(source):
    run = Evidence([KEPT]).newest(lambda record: is_from(source, record))
    return open_dossier(run, ())


@pytest.fixture(scope="module")
def flood():
    return kept("limit-flood")


def test_every_way_of_authenticating_is_drawn_with_its_refusal():
    plot = ch3_auth(kept("protocol"))
    cases = {(way, case) for way, case, *_ in plot.rows}
    assert {way for way, _ in cases} == {"header", "query", "message"}
    assert {(way, "wrong token") for way in ("header", "query", "message")} <= cases
    assert plot.title == "A good token is let in and a bad one kept out, in all three ways"
    assert not any("eyJ" in str(row) for row in plot.rows)  # how every JWT begins


def test_a_way_that_lets_a_wrong_token_in_is_not_told_as_safe(tmp_path):
    run = kept("protocol").run
    record = run.record
    with RunWriter(tmp_path, record.id) as writer:
        lines = [
            {**line, "summary": "auth_ok"} if line["summary"] == "HTTP 401" else line
            for line in run.lines("transcripts.jsonl")
        ]
        writer.write_lines("transcripts.jsonl", lines)
        writer.finish(record)
    plot = ch3_auth(open_dossier(load_run(tmp_path / record.id), ()))
    assert plot.title == "A good token is let in in 3 of 3 ways, a bad one kept out in 1"


def test_the_tables_of_the_protocol_have_a_row_a_case():
    found = kept("protocol")
    assert len(authentication(found).rows) == 7
    assert len(event_types(found).rows) == 7
    assert all("not delivered" not in row[2] for row in event_types(found).rows)


def test_no_address_is_drawn_above_the_promise_it_was_held_to(flood):
    plot = ch3_monitoring(flood)
    most = {}
    for series, _, _, count in plot.rows:
        most[series] = max(most.get(series, 0), count)
    assert most["admitted in window"] == flood.metric("requests_in_window_max").value == 100
    assert most["connections held"] == 10
    assert most["refused in second"] > 0


def test_a_storm_in_which_nobody_hoards_is_no_flood(tmp_path, flood):
    who = ADMISSIONS.names.index("who")
    with RunWriter(tmp_path, flood.record.id) as writer:
        rows = [row for row in flood.run.rows(ADMISSIONS) if row[who] != "hold"]
        writer.write_table(ADMISSIONS, rows)
        writer.finish(flood.record)
    assert ch3_monitoring(open_dossier(load_run(tmp_path / flood.record.id), ())) is None


def test_an_admission_too_many_shows_above_the_promise():
    began = np.arange(0.0, 6.0)
    assert in_window(began, began + 0.1, 3.0).tolist() == [1, 2, 3, 3, 3, 3]
    assert in_window(began, began, 3.0).tolist() == [1, 2, 3, 3, 3, 3]  # a window ago is outside
    assert in_window(began / 10, began / 10 + 0.01, 3.0).tolist() == [1, 2, 3, 4, 5, 6]


def test_attempts_are_told_apart_by_who_asked(flood):
    found = attempts(flood.run)
    assert found.of("knock").at_s.size + found.of("hold").at_s.size + found.of(
        "client"
    ).at_s.size == len(found.at_s)
    assert connect_storm(flood) is None


def test_the_matrix_has_a_tile_a_check_and_names_what_fails(tmp_path):
    run = synthetic.write_audit(tmp_path, {"HS1": "PASS", "HS2": "FAIL", "ID1": "NOT_APPLICABLE"})
    dossier = open_dossier(load_run(run), ())
    plot = security_matrix(dossier)
    assert plot.title == "1 of 2 applicable checks pass, 1 fail"
    assert plot.alt.endswith("Failing: HS2.")
    assert [row[0] for row in checks(dossier).rows] == ["HS2", "ID1", "HS1"]


@pytest.mark.slow
def test_the_same_evidence_gives_the_same_pictures(tmp_path, flood):
    for name, plot in (("auth", ch3_auth(kept("protocol"))), ("flood", ch3_monitoring(flood))):
        for folder in ("one", "two"):
            (tmp_path / folder).mkdir(exist_ok=True)
            render_figure(plot, flood.record, tmp_path / folder, name, "mark")
        for suffix in ("png", "svg", "csv"):
            one, two = (tmp_path / folder / f"{name}.{suffix}" for folder in ("one", "two"))
            assert one.read_bytes() == two.read_bytes()
