"""Figures of storms, slow readers and capacity, from rows whose answer is known."""

from dataclasses import replace

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from monitor.contract.evidence import Metric, Repeat, load_run
from monitor.contract.verdicts import RunVerdict
from reports.dossier import open_dossier
from reports.figures.capacity_knee import capacity_knee
from reports.figures.latency_over_time import latency_over_time
from reports.figures.slow_consumer import slow_consumer
from reports.figures.storms import connect_storm, reconnect_storm
from reports.style import new_figure, styled
from tests.reports import synthetic


def drawn(plot):
    """Draw a plot for real: a figure that cannot be drawn answers nothing."""
    with styled():
        figure = new_figure(plot.height_in)
        plot.draw(figure)
        FigureCanvasAgg(figure).draw()
    return figure


def dossier(folder, scenario, **parts):
    return open_dossier(load_run(synthetic.write_scenario(folder, scenario, **parts)), ())


def tries(who, answers):
    """Rows of attempts: (repeat, began, answered, admitted)."""
    return [
        (repeat, at, "127.0.0.2", "connection", admitted, "101", who, "", began, None)
        for repeat, began, at, admitted in answers
    ]


def repeat(number, point="", **metrics):
    found = {name: Metric(value, "us") for name, value in metrics.items()}
    return Repeat(number, "2025-01-01T14:00:00Z", 10.0, RunVerdict.VALID, (), found, point=point)


def interval(number, at_s, p99_us):
    latencies = (p99_us / 2, p99_us, p99_us * 2, p99_us, p99_us)
    return (number, at_s, 1.0, 50, 100, 100, 100, 5000, 5000, *latencies, 1.0)


def test_a_storm_is_told_by_its_slowest_repeat(tmp_path):
    rows = tries(
        "client", [(1, 5.0, 5.1, 1), (1, 5.5, 6.0, 1), (2, 20.0, 20.1, 1), (2, 20.0, 22, 1)]
    )
    plot = connect_storm(dossier(tmp_path, "connect-storm", admissions=rows))
    assert plot.title == "2 clients connect within 2.00 s at the slowest (repeat 2)"
    assert plot.rows[-1] == ("repeat 2", "2.000", 2, 2)
    drawn(plot)


def test_clients_that_come_back_are_told_with_the_tries_that_failed(tmp_path):
    rows = tries("return", [(1, 5.0, 5.0, 0), (1, 5.5, 6.0, 1), (1, 5.5, 6.0, 1), (2, 9.0, 9.5, 1)])
    rows += tries("return", [(3, 15.0, 15.2, 1)])
    plot = reconnect_storm(
        dossier(
            tmp_path,
            "reconnect-storm",
            admissions=rows,
            repeats=(repeat(1, "together"), repeat(2, "jittered"), repeat(3, "together")),
        )
    )
    assert plot.title == (
        "2 clients come back within 1.00 s at the slowest (together);"
        " tries that failed on the way: 1"
    )
    assert plot.rows[-1] == ("together, repeat 3", "0.200", 1, 1)
    named = [text.get_text() for text in drawn(plot).axes[0].get_legend().get_texts()]
    assert named == ["together", "jittered", "a try that failed"]


def test_a_storm_nobody_survived_says_so(tmp_path):
    rows = tries("client", [(1, 5.0, 5.1, 0)])
    plot = connect_storm(dossier(tmp_path, "connect-storm", admissions=rows))
    assert plot.title == "In repeat 1 nobody was let in"
    drawn(plot)


def test_slow_readers_are_judged_by_what_the_others_waited(tmp_path):
    rows = [interval(1, float(at), 9000.0 if 1 <= at < 6 else 3000.0) for at in range(10)]
    plot = slow_consumer(
        dossier(
            tmp_path,
            "slow-consumer",
            timeline=rows,
            metrics={
                "clients_slow": Metric(10, "clients"),
                "stalled_from_s": Metric(1, "s"),
                "stalled_to_s": Metric(6, "s"),
            },
            repeats=(repeat(1),),
        )
    )
    assert plot.title == "While readers stalled the others' p99 was 9.00 ms, otherwise 3.00 ms"
    drawn(plot)


def test_the_worst_interval_stands_over_the_course_of_latency(tmp_path):
    rows = [interval(1, 0.0, 2000.0), interval(1, 1.0, 8000.0), interval(2, 0.0, 1000.0)]
    plot = latency_over_time(dossier(tmp_path, "chapter", timeline=rows))
    assert plot.title == "In the worst interval 99 % of deliveries took at most 8.00 ms"
    drawn(plot)


def test_capacity_is_drawn_try_by_try_with_what_was_lost(tmp_path):
    tried = tuple(
        repeat(
            number,
            f"rate_{rate}",
            response_p99_us=p99,
            events_offered_per_s=float(rate),
            deliveries_lost=lost,
        )
        for number, (rate, p99, lost) in enumerate(
            [(500, 2e3, 0.0), (1000, 9e3, 0.0), (2000, 2e5, 7.0)], 1
        )
    )
    plot = capacity_knee(
        dossier(
            tmp_path,
            "capacity",
            repeats=tried,
            metrics={"capacity_events_per_s": Metric(1000, "events/s")},
        )
    )
    assert plot.title == "The objectives were kept up to 1,000 events/s"
    assert [row[1:4] for row in plot.rows] == [
        ("500", "2000", "0"),
        ("1000", "9000", "0"),
        ("2000", "200000", "7"),
    ]
    drawn(plot)


def test_an_objective_on_the_99th_percentile_is_drawn_across_the_tries(tmp_path):
    tried = (repeat(1, "rate_500", response_p99_us=2e3, events_offered_per_s=500.0),)
    given = (
        "response_p99_us <= 1e+06 us; response_p50_us < 5000 us; deliveries_lost == 0 deliveries"
    )
    made = dossier(tmp_path, "capacity", repeats=tried)
    record = synthetic.changed(made.record, parameters={"objectives": given})
    figure = drawn(capacity_knee(replace(made, record=record)))
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert [text for text in texts if text.startswith("objective")] == ["objective <= 1 s"]


@pytest.mark.parametrize("make", [connect_storm, reconnect_storm, slow_consumer, capacity_knee])
def test_a_run_of_another_scenario_has_nothing_to_show(tmp_path, make):
    assert make(dossier(tmp_path, "chapter")) is None
