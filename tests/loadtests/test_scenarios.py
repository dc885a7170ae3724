"""Each family of scenarios once for real: what was scheduled happened, and the books agree."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from loadtests.accounting.histogram import Recorder
from loadtests.assignment import load_schedule
from loadtests.figures import complete_events
from loadtests.plan import Plan, make_plan
from loadtests.results import Admission, RepeatResult
from loadtests.scenarios import NotApplicableError, Outcome, Seen, find
from loadtests.schedule.course import Point
from monitor.contract import verdicts
from monitor.contract.target import load_target
from tests.loadtests.conftest import KNOWN_SERVER, NULL_SERVER, Driven
from tests.loadtests.test_validity import GOOD, PART, replace

MONITOR = Path(verdicts.__file__).parents[1] / "target.toml"

Profile = Callable[..., Path]
MakePlan = Callable[..., Plan]
Drive = Callable[..., Driven]


def figures(plan: Plan, driven: Driven) -> dict[str, float]:
    seen = Seen(plan.asked, driven.result, driven.samples)
    return {name: value for name, (value, _) in plan.scenario.figures(seen).items()}


def assert_every_delivery_is_accounted_for(result: RepeatResult) -> None:
    part = result.part
    assert part.expected == part.received + part.lost + part.thinned > 0
    assert (part.lost, part.duplicated, result.faults) == (0, 0, ())
    assert Recorder.restore(part.response).count == part.received
    intervals = part.intervals.values()
    assert sum(one.received for one in intervals) == part.received
    assert sum(one.expected for one in intervals) == part.expected


@pytest.mark.slow
def test_churn_owes_leavers_what_was_before_and_joiners_what_comes_after(
    profile: Profile, plan: MakePlan, drive: Drive
) -> None:
    made = plan(profile(NULL_SERVER), "churn", clients=10, window_s=3.0)
    driven = drive(made)
    assert_every_delivery_is_accounted_for(driven.result)
    found, part = figures(made, driven), driven.result.part
    assert (found["joins_offered"], found["joins_refused"]) == (4, 0)
    assert part.moves == 8
    assert part.offered == part.held == 10
    assert part.expected < 10 * driven.result.passage.scheduled
    assert complete_events(driven.result).all()
    # Whoever is in at the time is the audience: the spread of each event is known.
    assert Recorder.restore(part.fanout["spread"]).count == driven.result.passage.scheduled


@pytest.mark.slow
def test_churn_on_a_service_that_loses_counts_what_each_was_there_for(
    profile: Profile, plan: MakePlan, drive: Drive
) -> None:
    driven = drive(plan(profile([*KNOWN_SERVER, "lose=7"]), "churn", clients=6, window_s=2.5))
    part = driven.result.part
    assert part.lost == part.expected - part.received > 0
    assert part.lost == pytest.approx(part.expected / 7, rel=0.05)


@pytest.mark.slow
def test_a_connect_storm_is_timed_from_when_each_was_due(
    profile: Profile, plan: MakePlan, drive: Drive
) -> None:
    made = plan(profile(NULL_SERVER), "connect-storm", clients=40, window_s=3.0)
    driven = drive(made)
    assert_every_delivery_is_accounted_for(driven.result)
    found = figures(made, driven)
    assert (found["connections_offered"], found["connections_refused"]) == (40, 0)
    assert found["connect_p50_us"] <= found["connect_max_us"]
    due = sorted(one.due_ns for one in driven.result.part.admissions)
    assert np.diff(due) == pytest.approx(1e9 / 40, rel=0.01)
    assert driven.result.part.held == 40


@pytest.mark.slow
def test_a_rate_curve_is_what_is_sent(profile: Profile, plan: MakePlan, drive: Drive) -> None:
    made = plan(profile(NULL_SERVER), "ramp", clients=10, rate=400.0, window_s=4.0)
    driven = drive(made)
    assert_every_delivery_is_accounted_for(driven.result)
    sent = [one.sent for one in driven.result.passage.intervals]
    assert sent == sorted(sent)
    assert sum(sent) == pytest.approx(4 * (40 + 400) / 2, rel=0.05)
    clients = [one.clients for one in driven.result.part.intervals.values()]
    assert clients[0] < clients[-1] == 10


@pytest.mark.slow
def test_a_stalled_reader_is_counted_apart_and_loses_nothing_unannounced(
    plan: MakePlan, drive: Drive
) -> None:
    made = plan(MONITOR, "slow-consumer", clients=10, rate=600.0, window_s=3.0)
    driven = drive(made)
    assert_every_delivery_is_accounted_for(driven.result)
    found = figures(made, driven)
    assert found["clients_slow"] == 2
    assert found["deliveries_slow_lost"] == 0
    told = found["deliveries_slow_received"] + found["deliveries_slow_thinned"]
    assert told == found["deliveries_slow_expected"] == 2 * driven.result.passage.scheduled
    assert driven.result.part.expected == 8 * driven.result.passage.scheduled


@pytest.mark.slow
def test_who_is_cut_off_and_resumes_gets_everything_once(plan: MakePlan, drive: Drive) -> None:
    made = plan(MONITOR, "resume", clients=4, window_s=3.5)
    driven = drive(made)
    assert_every_delivery_is_accounted_for(driven.result)
    found = figures(made, driven)
    assert found["resumes_offered"] == found["resumes_recovered"] == 4
    assert driven.result.part.expected == 4 * driven.result.passage.scheduled


@pytest.mark.slow
def test_everybody_comes_back_to_a_restarted_target_and_is_level(
    plan: MakePlan, drive: Drive
) -> None:
    made = plan(MONITOR, "reconnect-storm", clients=8, window_s=12.0)
    driven = drive(made)
    assert_every_delivery_is_accounted_for(driven.result)
    found = figures(made, driven)
    assert (found["clients_cut_off"], found["clients_not_back"]) == (8, 0)
    assert 0 < found["first_live_s"] <= found["all_live_s"] <= found["all_level_s"]
    # A steady schedule: something was due while the target was away, and nobody was owed it.
    assert found["events_void"] > 0
    assert driven.result.passage.pushed_back > 0
    assert driven.result.passage.unsent_ours == 0


def test_where_nobody_was_cut_off_nothing_is_said_of_who_came_back() -> None:
    scenario = find("reconnect-storm")
    plan = make_plan(scenario, load_target(MONITOR))
    found = scenario.figures(Seen(plan.asked, replace(GOOD, restart_ns=1), ()))
    assert found["clients_cut_off"] == (0, "clients")
    assert "clients_not_back" not in found


@pytest.mark.slow
def test_altered_tokens_are_refused_each_way_and_genuine_ones_admitted(
    plan: MakePlan, drive: Drive
) -> None:
    made = plan(MONITOR, "auth-storm", window_s=2.0)
    driven = drive(made)
    found = figures(made, driven)
    assert found["knocks_valid"] == found["knocks_altered"] == 30
    assert (found["knocks_valid_refused"], found["knocks_altered_admitted"]) == (0, 0)
    ways = {one.shown for one in driven.result.part.admissions if one.who == "knock"}
    assert len(ways) == 6


@pytest.mark.slow
def test_who_hoards_connections_is_held_to_the_promise(plan: MakePlan, drive: Drive) -> None:
    made = plan(MONITOR, "limit-flood", window_s=2.0)
    driven = drive(made)
    found = figures(made, driven)
    assert (found["connections_at_once_max"], found["connections_excess"]) == (10, 0)
    assert found["strangers_refused"] >= 2 * 5
    assert driven.result.part.lost == 0


def test_one_request_too_many_in_a_window_is_an_excess() -> None:
    scenario = find("limit-flood")
    plan = make_plan(scenario, load_target(MONITOR))
    second = 10**9
    knocks = tuple(
        Admission(number * second // 4 + 1000, "127.0.0.2", True, "101", number * second // 4)
        for number in range(101)
    )
    part = replace(PART, admissions=tuple(replace(one, who="knock") for one in knocks))
    found = scenario.figures(Seen(plan.asked, replace(GOOD, part=part), ()))
    assert found["requests_excess"] == (1, "requests")


@pytest.mark.parametrize(("asks", "told"), [(100, False), (101, True)])
def test_a_limit_nobody_asked_beyond_is_not_said_to_have_held(asks: int, told: bool) -> None:
    scenario = find("limit-flood")
    plan = make_plan(scenario, load_target(MONITOR))
    asked = Admission(1000, "127.0.0.2", True, "101", 0, who="knock")
    knocks = (asked,) * 100 + (replace(asked, admitted=False),) * (asks - 100)
    part = replace(PART, admissions=knocks)
    found = scenario.figures(Seen(plan.asked, replace(GOOD, part=part), ()))
    assert found.get("requests_excess") == ((0, "requests") if told else None)
    assert found["requests_in_window_max"] == (100, "requests")


@pytest.mark.parametrize("name", ["resume", "limit-flood", "auth-storm", "reconnect-storm"])
def test_a_target_that_does_not_promise_it_is_not_measured(profile: Profile, name: str) -> None:
    with pytest.raises(NotApplicableError, match=f"NOT_APPLICABLE: scenario {name} needs `"):
        make_plan(find(name), load_target(profile(NULL_SERVER)))


class Search:
    """A whole search of capacity on a target that keeps and is believed as told."""

    def __init__(
        self,
        profile: Profile,
        kept: Callable[[Point], bool],
        believed: Callable[[Point], bool],
        most: int = 1000,
    ) -> None:
        scenario = find("capacity")
        plan = make_plan(scenario, load_target(profile(NULL_SERVER)), clients=50, rate=500.0)
        results: list[RepeatResult] = []
        steps = scenario.steps(plan.asked)
        outcome: Outcome | None = None
        while len(results) < most:
            try:
                point = steps.send(outcome) if outcome else next(steps)
            except StopIteration:
                break
            outcome = Outcome(kept(point), believed(point))
            results.append(
                replace(
                    GOOD,
                    point=point.label,
                    kept=outcome.kept,
                    believed=outcome.believed,
                    counted=point.counted and outcome.kept and outcome.believed,
                )
            )
        self.found = scenario.conclude(plan.asked, results)
        self.doubts = scenario.doubts(plan.asked, results)


def test_capacity_confirms_what_held_and_says_what_ended_the_search(profile: Profile) -> None:
    search = Search(profile, lambda one: one.clients <= 130, lambda one: one.peak_rate <= 900)
    found = search.found
    assert 115 <= found["capacity_clients"].value <= 130
    assert found["capacity_clients"].statistic.endswith("ended by a missed objective")
    assert 800 <= found["capacity_events_per_s"].value <= 900
    assert "the generator" in found["capacity_events_per_s"].statistic
    assert search.doubts == ()


def test_a_search_that_nothing_can_be_believed_of_has_no_figure_and_says_why(
    profile: Profile,
) -> None:
    search = Search(profile, lambda _: True, lambda one: one.label.startswith("rate"))
    assert list(search.found) == ["capacity_events_per_s"]
    (doubt,) = search.doubts
    assert doubt.startswith("capacity_clients: not found. Of 6 attempts, 6 say nothing of the")


def test_a_target_that_cannot_even_serve_one_has_a_capacity_of_none(profile: Profile) -> None:
    search = Search(profile, lambda one: one.label.startswith("rate"), lambda _: True)
    assert search.found["capacity_clients"].value == 0
    assert search.found["capacity_clients"].statistic.endswith("ended by a missed objective")
    assert search.doubts == ()


def test_a_search_that_was_interrupted_has_no_figure(profile: Profile) -> None:
    search = Search(profile, lambda _: True, lambda _: True, most=2)
    assert search.found == {}
    assert [one.split(":")[0] for one in search.doubts] == [
        "capacity_clients",
        "capacity_events_per_s",
    ]


def test_a_curve_is_the_same_schedule_for_conductor_and_publisher(
    profile: Profile, plan: MakePlan, tmp_path: Path
) -> None:
    made = plan(profile(NULL_SERVER), "spike", rate=500.0, window_s=5.0)
    allotment = made.allotter("127.0.0.1").take(4)
    assignment = made.assignment(1, tmp_path, made.target, allotment, (None, None))
    first, second = load_schedule(assignment), load_schedule(assignment)
    assert np.array_equal(first.offsets_ns, second.offsets_ns)
    in_spike = np.diff(np.searchsorted(first.offsets_ns, [int(2.3e9), int(3.3e9)]))[0]
    assert in_spike == pytest.approx(500, rel=0.05)
