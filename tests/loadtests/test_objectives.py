import pytest

from loadtests.catalogue import REFERENCE
from loadtests.objectives import kept, known, parse
from loadtests.plan import asked_of
from loadtests.scenarios import discover
from loadtests.vocabulary import figures_of
from monitor.contract.evidence import Metric
from monitor.contract.target import load_target
from monitor.contract.verdicts import UsageError


@pytest.mark.parametrize(
    ("text", "metric", "comparison", "bound", "unit"),
    [
        ("p99 < 20 ms", "response_p99_us", "<", 20_000, "us"),
        ("p99<500", "response_p99_us", "<", 500, "us"),
        ("lost = 0", "deliveries_lost", "==", 0, "deliveries"),
        ("rss < 100 MB", "target_rss_peak_bytes", "<", 100e6, "bytes"),
        ("cpu <= 80 %", "target_cpu_percent", "<=", 80, "percent"),
        ("rate >= 1000 /s", "events_per_s", ">=", 1000, "events/s"),
        ("recovery_s < 1500 ms", "recovery_s", "<", 1.5, "s"),
        (
            "target_rss_slope_bytes_per_h < 1 MB/h",
            "target_rss_slope_bytes_per_h",
            "<",
            1e6,
            "bytes/h",
        ),
        ("deaths = 0", "target_deaths", "==", 0, "deaths"),
        ("capacity_clients >= 100", "capacity_clients", ">=", 100, "clients"),
    ],
)
def test_an_objective_is_a_claim_in_the_metrics_own_unit(
    text: str, metric: str, comparison: str, bound: float, unit: str
) -> None:
    found = parse(text, "chapter")
    assert (found.metric, found.comparison, found.unit) == (metric, comparison, unit)
    assert found.bound == pytest.approx(bound)
    assert found.scenario == "chapter"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p99 20 ms", "expected METRIC COMPARISON NUMBER"),
        ("p99 < fast", "expected METRIC COMPARISON NUMBER"),
        ("p99 < 20 MB", "unit 'MB' does not fit response_p99_us; expected one of us, µs, ms, s"),
        ("lost = 0 ms", "unit 'ms' does not fit deliveries_lost"),
    ],
)
def test_a_wrong_objective_says_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse(text, "chapter")


def test_what_every_scenario_proves_can_be_parsed() -> None:
    target = load_target(REFERENCE)
    for name, scenario in discover().items():
        assert name == "chapter" or scenario.proves
        figures = figures_of(scenario, asked_of(scenario, target))
        for text in scenario.proves:
            assert parse(text, name, figures).metric


def test_a_missing_figure_keeps_no_objective() -> None:
    wanted = [parse("p99 < 20 ms", "chapter")]
    assert not kept(wanted, {})
    assert not known(wanted, {"response_p90_us": Metric(100.0, "us", "one repeat")})
    assert known(wanted, {"response_p99_us": Metric(20_000.0, "us", "one repeat")})
    assert kept(wanted, {"response_p99_us": Metric(100.0, "us", "one repeat")})
    assert not kept(wanted, {"response_p99_us": Metric(20_000.0, "us", "one repeat")})
