"""What a run is asked to keep, before anything is started."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from loadtests.assignment import load_schedule
from loadtests.plan import Plan
from loadtests.scenarios import find
from monitor.contract.verdicts import UsageError
from tests.loadtests.conftest import NULL_SERVER

CLAIMS = """
format = 1
[[claim]]
id = "latency"
label = "Average latency"
claimed = "<5 ms"
sentence = "An event reaches a client in less than 5 ms."
scenario = "chapter"
metric = "response_mean_us"
comparison = "<"
bound = 5000
unit = "us"
"""

Profile = Callable[..., Path]
MakePlan = Callable[..., Plan]


def objectives(plan: Plan) -> list[str]:
    return [one.id.removeprefix("objective: ") for one in plan.objectives]


@pytest.mark.parametrize("given", [(), ("p99 < 20 ms",)])
def test_a_target_must_survive_whatever_else_is_asked_of_it(
    profile: Profile, plan: MakePlan, given: tuple[str, ...]
) -> None:
    assert objectives(plan(profile(NULL_SERVER, CLAIMS), objectives=given)) == [
        *given,
        "lost = 0",
        "deaths = 0",
    ]


def test_what_claims_require_is_not_asked_twice(profile: Profile, plan: MakePlan) -> None:
    required = 'requires = ["target_deaths == 0", "deliveries_lost == 0"]\n'
    claimed = profile(NULL_SERVER, CLAIMS + required)
    assert objectives(plan(claimed)) == []
    # They speak of their own scenario only.
    assert objectives(plan(claimed, "fanout")) == ["lost = 0", "deaths = 0"]


def test_a_claim_of_some_loss_is_not_held_to_none(profile: Profile, plan: MakePlan) -> None:
    some = CLAIMS.replace("response_mean_us", "deliveries_lost").replace('"us"', '"deliveries"')
    assert objectives(plan(profile(NULL_SERVER, some))) == ["deaths = 0"]


def test_who_allows_some_loss_is_not_held_to_none(profile: Profile, plan: MakePlan) -> None:
    allowed = plan(profile(NULL_SERVER), objectives=("lost < 10",))
    assert objectives(allowed) == ["lost < 10", "deaths = 0"]


def test_a_search_goes_by_the_claims_and_must_not_kill(profile: Profile, plan: MakePlan) -> None:
    capacity = plan(profile(NULL_SERVER, CLAIMS), "capacity")
    assert objectives(capacity)[-1] == "deaths = 0"
    assert "lost = 0" not in objectives(capacity)
    sought = [one.metric for one in capacity.sought]
    assert sought == [
        "deliveries_lost",
        "deliveries_thinned",
        "clients_refused",
        "response_mean_us",
    ]


@pytest.mark.parametrize(
    ("given", "sought"),
    [
        (("lost = 0", "p99 < 20 ms"), ["deliveries_lost", "response_p99_us"]),
        (("lost = 0",), ["deliveries_lost"]),
        (("lost < 5", "p99 < 20 ms"), ["deliveries_lost", "response_p99_us"]),
        (("p99 < 20 ms",), ["response_p99_us", "deliveries_lost"]),
        # Only the run as a whole has these, so no repeat can be held to them.
        (("capacity_clients >= 10", "deaths = 0", "lost = 0"), ["deliveries_lost"]),
    ],
)
def test_a_search_goes_by_all_that_is_asked_of_a_repeat(
    profile: Profile, plan: MakePlan, given: tuple[str, ...], sought: list[str]
) -> None:
    capacity = plan(profile(NULL_SERVER), "capacity", rate=1000.0, objectives=given)
    assert [one.metric for one in capacity.sought] == sought


def test_a_search_asked_for_its_answer_alone_goes_by_the_claims(
    profile: Profile, plan: MakePlan
) -> None:
    claimed = profile(NULL_SERVER, CLAIMS)
    asked = plan(claimed, "capacity", objectives=("capacity_clients >= 10",))
    assert asked.sought == plan(claimed, "capacity").sought


def test_a_search_is_refused_a_percentile_its_windows_are_too_short_for(
    profile: Profile, plan: MakePlan
) -> None:
    asked = {"rate": 200.0, "window_s": 1.0, "objectives": ("p99 < 20 ms",)}
    with pytest.raises(UsageError, match=r"p99 < 20 ms: needs 1,000 events .* --duration 5 or"):
        plan(profile(NULL_SERVER), "capacity", **asked)
    plan(profile(NULL_SERVER), "capacity", **{**asked, "window_s": 5.0})
    plan(profile(NULL_SERVER), "chapter", **asked)  # all repeats together may have enough


@given(st.floats(0.1, 20_000), st.sampled_from(["p50", "p99", "p999"]))
@example(1100.0, "p99")  # 0.909 s would be one event short
@example(0.3, "p999")  # so long that a rounded number would be short
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
def test_the_duration_a_search_is_told_to_take_is_long_enough(
    profile: Profile, plan: MakePlan, rate: float, percentile: str
) -> None:
    target = profile(NULL_SERVER)
    asked = {"rate": rate, "objectives": (f"{percentile} < 20 ms",)}
    try:
        plan(target, "capacity", **asked, window_s=0.5)
    except UsageError as error:
        told = re.search(r"pass --duration ([0-9.]+) or more", str(error))
        assert told is not None
        plan(target, "capacity", **asked, window_s=float(told[1]))


@pytest.mark.parametrize("rate", [200.0, 333.0, 500.0])
def test_the_duration_a_search_is_told_to_take_goes_by_the_rhythm_of_the_trace(
    profile: Profile, plan: MakePlan, tmp_path: Path, rate: float
) -> None:
    target, trace = profile(NULL_SERVER), find("capacity").trace
    asked = {"rate": rate, "warmup_s": 1.0, "trace": trace, "objectives": ("p99 < 20 ms",)}
    with pytest.raises(UsageError, match=r"--duration [0-9.]+ or more") as refused:
        plan(target, "capacity", **asked, window_s=0.5)
    told_s = float(str(refused.value).rpartition("--duration ")[2].split()[0])
    made = plan(target, "capacity", **asked, window_s=told_s)
    allotment = made.allotter("127.0.0.1").take(4)
    assignment = made.assignment(1, tmp_path, made.target, allotment, (None, None))
    due_ns = load_schedule(assignment).offsets_ns
    assert (due_ns >= 10**9).sum() >= 1000
    with pytest.raises(UsageError, match=f"--duration {told_s:g} or more"):
        plan(target, "capacity", **asked, window_s=told_s - 0.2)


def test_a_name_in_capitals_is_recognised_in_what_is_suggested() -> None:
    with pytest.raises(UsageError, match="'CHAPTER': unknown; did you mean 'chapter'"):
        find("CHAPTER")


def test_a_search_repeats_by_itself_and_no_other_number_is_taken(
    profile: Callable[..., Path], plan: Callable[..., Plan]
) -> None:
    with pytest.raises(UsageError, match="--repeats 3: capacity repeats by itself"):
        plan(profile(NULL_SERVER), "capacity", repeats=3)
