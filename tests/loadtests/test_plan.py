"""What a run is asked to keep, before anything is started."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loadtests.plan import Plan
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


def test_a_search_is_refused_a_percentile_its_windows_are_too_short_for(
    profile: Profile, plan: MakePlan
) -> None:
    asked = {"rate": 200.0, "window_s": 1.0, "objectives": ("p99 < 20 ms",)}
    with pytest.raises(UsageError, match=r"p99 < 20 ms: needs 1,000 events .* --duration 5 or"):
        plan(profile(NULL_SERVER), "capacity", **asked)
    plan(profile(NULL_SERVER), "capacity", **{**asked, "window_s": 5.0})
    plan(profile(NULL_SERVER), "chapter", **asked)  # all repeats together may have enough
