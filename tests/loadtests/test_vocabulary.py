"""The figures a scenario says it has are those its runs have, and no objective speaks of others."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loadtests.connecting import times
from loadtests.measure import measure
from loadtests.plan import Plan
from loadtests.scenarios import discover
from loadtests.vocabulary import figures_of
from monitor.contract import verdicts
from monitor.contract.evidence import load_run
from monitor.contract.verdicts import UsageError
from tests.loadtests.conftest import NULL_SERVER

MONITOR = Path(verdicts.__file__).parents[1] / "target.toml"

Profile = Callable[..., Path]
MakePlan = Callable[..., Plan]

#: How each is shown in little time: what every run has, and one with figures of its own.
SHORTLY: dict[str, dict[str, object]] = {
    # So long that p99 of what is looked at every 4 ms means something.
    "chapter": {"rate": 800.0, "window_s": 5.0},
    "slow-consumer": {"window_s": 2.0},
}


#: A percentile takes many, and who recovers in time is another matter.
_SOMETIMES = {
    name
    for prefix in ("authenticate", "connect", "join", "resume")
    for name in times(prefix)
    if not name.endswith("_max_us")
} | {"recovery_s"}


def run_shortly(plan: MakePlan, name: str, runs: Path) -> tuple[Plan, dict[str, str]]:
    """Run a scenario; return what was planned and the units of the figures it wrote."""
    made = plan(MONITOR, name, **SHORTLY[name])
    path = measure(made, runs, command="a test", seed=1, ui=False, tell=lambda *_: None)
    record = load_run(path).record
    return made, {figure: metric.unit for figure, metric in record.metrics.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORTLY)
def test_a_scenario_has_the_figures_it_says_it_has(
    plan: MakePlan, tmp_path: Path, name: str
) -> None:
    made, written = run_shortly(plan, name, tmp_path / "runs")
    said = figures_of(made.scenario, made.asked)
    assert {figure: said.get(figure) for figure in written} == written
    assert set(made.scenario.measures) - written.keys() <= _SOMETIMES
    if name == "chapter":  # what every run has, but for what takes more events, moves or hosts
        few = {figure for figure in said if figure.endswith(("_p999_us", "_p9999_us"))}
        assert said.keys() - written.keys() == few | {"clock_bound_us", "moves_lag_p99_us"}


def refusal(profile: Profile, plan: MakePlan, text: str, name: str = "chapter") -> str:
    with pytest.raises(UsageError) as refused:
        plan(profile(NULL_SERVER), name, objectives=(text,))
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("p98 < 20 ms", "chapter", "no run of chapter has a figure 'p98'; did you mean 'p99'?"),
        ("respons_p99_us < 20 ms", "chapter", "did you mean 'response_p99_us'?"),
        ("bananas = 0", "chapter", "'bananas'. It has mean, p50, p90"),
        ("joins_refused = 0", "chapter", "'joins_refused', only one of churn. It has mean"),
        ("joins_refusd = 0", "churn", "of its own joins_offered, joins_refused, join_p50_us"),
        # Of several points each has its own, and there is none of all.
        ("rate > 10", "fanout", "did you mean 'c4_r200_events_per_s'?"),
        ("rate > 10", "capacity", "did you mean 'capacity_events_per_s'?"),
        ("c4_r300_events_per_s > 10", "fanout", "'c4_r200_events_per_s'"),
    ],
)
def test_an_objective_on_what_is_never_measured_is_refused(
    profile: Profile, plan: MakePlan, text: str, name: str, said: str
) -> None:
    message = refusal(profile, plan, text, name)
    assert message.startswith(f"objective {text!r}: no run of {name} has a figure ")
    assert said in message
    assert message.endswith(f"`wsproof explain {name}` names them all")


def test_so_is_one_of_the_profile_which_is_named(profile: Profile, plan: MakePlan) -> None:
    path = profile(NULL_SERVER)
    path.write_text('objectives = ["p98 < 20 ms"]\n' + path.read_text())
    with pytest.raises(UsageError, match=r"`objectives` of target profile target.toml; --obj"):
        plan(path)
    assert plan(path, objectives=("p99 < 20 ms",)).objectives[0].metric == "response_p99_us"


def test_one_of_the_profile_that_only_another_scenario_has_is_left_to_that(
    profile: Profile, plan: MakePlan
) -> None:
    path = profile(NULL_SERVER)
    path.write_text('objectives = ["joins_refused = 0", "p99 < 20 ms"]\n' + path.read_text())
    for name, metrics in {
        "chapter": {"response_p99_us"},
        "churn": {"response_p99_us", "joins_refused"},
    }.items():
        asked = plan(path, name, clients=10).objectives
        own = {one.metric for one in asked} & {"response_p99_us", "joins_refused"}
        assert own == metrics


CLAIM = """
format = 1
[[claim]]
id = "mean"
label = "Mean"
claimed = "< 5 ms"
sentence = "Fast."
scenario = "{scenario}"
metric = "{metric}"
comparison = "<"
bound = 5000.0
unit = "us"
requires = ["{requires} == 0"]
"""


@pytest.mark.parametrize(
    ("scenario", "metric", "requires", "wrong"),
    [
        ("chapter", "response_maen_us", "deliveries_lost", "response_mean_us"),
        ("chapter", "response_mean_us", "deliveries_lots", "deliveries_lost"),
        ("churn", "response_maen_us", "deliveries_lost", None),
        ("chapter", "response_mean_us", "deliveries_lost", None),
    ],
)
def test_a_claim_on_what_is_never_measured_is_refused_where_it_would_be_decided(
    profile: Profile,
    plan: MakePlan,
    scenario: str,
    metric: str,
    requires: str,
    wrong: str | None,
) -> None:
    path = profile(NULL_SERVER)
    path.with_name("claims.toml").write_text(
        CLAIM.format(scenario=scenario, metric=metric, requires=requires)
    )
    path.write_text('claims = "claims.toml"\n' + path.read_text())
    if wrong is None:
        assert plan(path)
        return
    with pytest.raises(UsageError, match=f"claims.toml: claim `mean`: .*mean '{wrong}'"):
        plan(path)


@pytest.mark.parametrize("text", ["rss < 100 MB", "median_receiver_p99_us < 5 ms", "p9999 < 1 s"])
def test_what_is_measured_only_sometimes_may_be_asked_for(
    profile: Profile, plan: MakePlan, text: str
) -> None:
    assert plan(profile(NULL_SERVER), objectives=(text,)).objectives


def test_a_figure_of_one_point_has_the_unit_of_that_figure(
    profile: Profile, plan: MakePlan
) -> None:
    asked = plan(profile(NULL_SERVER), "fanout", objectives=("c4_r200_events_per_s > 10",))
    (objective,) = (one for one in asked.objectives if one.metric.startswith("c4_"))
    assert objective.unit == "events/s"


def test_where_there_is_but_one_point_figures_have_no_prefix(
    profile: Profile, plan: MakePlan
) -> None:
    asked = plan(profile(NULL_SERVER), "fanout", clients=1, rate=0.1, window_s=60.0).asked
    known = figures_of(discover()["fanout"], asked)
    assert known["events_per_s"] == "events/s"
    assert not [name for name in known if name.startswith("c1_")]
