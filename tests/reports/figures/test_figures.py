"""What the figures say and plot; how they look is for eyes."""

import csv
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from matplotlib.lines import Line2D
from matplotlib.text import Text

from reports.figures.latency import latency_percentiles
from reports.figures.memory_cpu import memory_cpu
from reports.figures.offered_delivered import offered_delivered
from reports.render_figure import render_figure
from reports.style import new_figure, styled
from tests.reports import synthetic

ALL = (latency_percentiles, offered_delivered, memory_cpu)


def test_each_title_is_the_answer(dossier_of):
    dossier = dossier_of(synthetic.LOSSY)
    assert [make(dossier).title for make in ALL] == [
        "Median repeat: 99 % of deliveries within 1.85 ms, mean 0.888 ms, claimed <5 ms",
        "Of 1,100/s offered, every client got 1,100/s; 35 deliveries were lost",
        "The target needed at most 41.1 MB of memory, claimed <100 MB",
    ]


def test_a_target_that_died_is_said_to_have_died(dossier_of):
    assert "before it died" in memory_cpu(dossier_of(synthetic.DEAD)).title


def test_the_latency_values_are_exact_buckets_of_every_repeat_and_of_all(dossier_of):
    dossier = dossier_of(synthetic.QUICK)
    rows = latency_percentiles(dossier).rows
    assert {(kind, repeat) for kind, repeat, *_ in rows} == {
        (kind, repeat) for kind in ("response", "service") for repeat in ("1", "2", "all")
    }
    merged = [int(row[3]) for row in rows if row[:2] == ("response", "all")]
    assert merged[-1] == dossier.response.merged.max
    assert set(merged) <= {*dossier.response.merged.values.tolist(), dossier.response.merged.max}
    assert merged == sorted(merged)


def test_the_throughput_values_account_for_every_event(dossier_of):
    dossier = dossier_of(synthetic.LOSSY)
    rates = dossier.rates
    assert (rates.offered * rates.lengths_s).sum() == pytest.approx(55_000)
    assert (rates.delivered * rates.lengths_s).sum() == pytest.approx(55_000 - 35)
    assert len(offered_delivered(dossier).rows) == 5 * 10


def test_memory_is_plotted_for_target_and_generator_apart(dossier_of):
    rows = memory_cpu(dossier_of(synthetic.NORMAL)).rows
    assert {role for role, *_ in rows} == {"target", "generator", "publisher"}
    assert len(rows) == 3 * 750


@pytest.mark.parametrize(
    ("make", "bound", "words"),
    [
        (latency_percentiles, 5.0, ["claim: mean <5 ms", "response time, from due"]),
        (
            offered_delivered,
            1000.0,
            ["claim: 1000+ events/s", "delivered to every client", "offered"],
        ),
        (memory_cpu, 100.0, ["claim: <100 MB", "target", "generator", "publisher", "repeat 5"]),
    ],
)
def test_the_limit_is_drawn_in_and_lines_are_named(dossier_of, make, bound, words):
    with styled():
        figure = new_figure(3)
        make(dossier_of(synthetic.NORMAL)).draw(figure)
    said = {text.get_text() for text in figure.findobj(Text)}
    assert [word for word in words if word not in said] == []
    levels = [line.get_ydata() for line in figure.findobj(Line2D)]
    assert [bound, bound] in [list(level) for level in levels]


def test_png_and_svg_name_no_date_and_no_version(dossier_of, tmp_path):
    dossier = dossier_of(synthetic.QUICK)
    render_figure(offered_delivered(dossier), dossier.record, tmp_path, "figure")
    assert b"dc:date" not in (tmp_path / "figure.svg").read_bytes()
    assert b"Software" not in (tmp_path / "figure.png").read_bytes()


def test_the_csv_holds_what_is_drawn_under_named_columns(dossier_of, tmp_path):
    dossier = dossier_of(synthetic.QUICK)
    plot = offered_delivered(dossier)
    render_figure(plot, dossier.record, tmp_path, "figure")
    with (tmp_path / "figure.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == plot.columns
    assert len(rows) == len(plot.rows) == 4


@pytest.mark.parametrize(
    ("shape", "said"), [(synthetic.INVALID, "INVALID RUN · "), (synthetic.NORMAL, "reference")]
)
def test_a_figure_does_not_travel_without_its_runs_verdict(dossier_of, tmp_path, shape, said):
    dossier = dossier_of(shape)
    render_figure(offered_delivered(dossier), dossier.record, tmp_path, "figure")
    assert f"<!-- {said}" in (tmp_path / "figure.svg").read_text()


def test_a_line_is_broken_where_nothing_was_sampled(dossier_of):
    dossier = dossier_of(synthetic.NORMAL)
    whole = dossier.resources.roles["publisher"]
    kept = (whole.at_s < 14) | (whole.at_s > 16)
    holed = replace(
        whole,
        at_s=whole.at_s[kept],
        rss_bytes=whole.rss_bytes[kept],
        cpu_percent=whole.cpu_percent[kept],
    )
    roles = {**dossier.resources.roles, "publisher": holed}
    with styled():
        figure = new_figure(3)
        memory_cpu(replace(dossier, resources=replace(dossier.resources, roles=roles))).draw(figure)
    drawn = [line.get_ydata() for line in figure.findobj(Line2D) if len(line.get_ydata()) > 700]
    assert sorted(int(np.isnan(values).sum()) for values in drawn) == [0, 0, 1]


def test_without_evidence_there_is_no_figure(dossier_of):
    dossier = dossier_of(synthetic.NORMAL)
    blank = replace(dossier, response=None, service=None, rates=None, resources=None)
    assert [make(blank) for make in ALL] == [None, None, None]


def test_memory_that_was_never_readable_is_not_drawn(dossier_of):
    dossier = dossier_of(synthetic.NORMAL)
    target = dossier.resources.roles["target"]
    blind = replace(target, rss_bytes=target.rss_bytes * np.nan)
    roles = {**dossier.resources.roles, "target": blind}
    assert memory_cpu(replace(dossier, resources=replace(dossier.resources, roles=roles))) is None


def test_figures_of_odd_runs_are_drawn_without_a_warning(dossier_of, tmp_path):
    """Warnings are errors here: no claim, one repeat, nothing delivered, memory unreadable."""
    dossier = dossier_of(replace(synthetic.QUICK, repeats=1))
    rates = replace(dossier.rates, delivered=np.zeros_like(dossier.rates.delivered))
    target = dossier.resources.roles["target"]
    holes = replace(target, rss_bytes=np.where(target.at_s > 5, np.nan, target.rss_bytes))
    roles = {"target": holes}
    odd = replace(
        dossier,
        judgements=(),
        service=None,
        rates=rates,
        resources=replace(dossier.resources, roles=roles),
        record=msgspec.structs.replace(dossier.record, metrics={}),
    )
    for make in ALL:
        render_figure(make(odd), odd.record, tmp_path, make.__name__)
    assert len(list(tmp_path.glob("*.png"))) == len(ALL)
