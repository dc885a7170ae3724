"""What an audit settles before it begins: the order of its checks, and when one is cut off."""

from pathlib import Path

import msgspec

from monitor.contract.promises import Promises
from monitor.contract.target import load_target
from securitytests.check import discover
from securitytests.gate.conduct import longest_s
from securitytests.gate.plan import make_plan

REFERENCE = Path(__file__).parents[2] / "monitor" / "target.toml"


def order(seed):
    plan = make_plan(load_target(REFERENCE), seed=seed)
    return [check.id for check in plan.in_order(plan.checks)]


def test_the_costliest_checks_begin_first():
    plan = make_plan(load_target(REFERENCE))
    costs = [check.cost_s for check in plan.in_order(plan.checks)]
    assert costs == sorted(costs, reverse=True)


def test_a_seed_shuffles_the_checks_the_same_way_each_time():
    assert order(7) == order(7)
    assert order(7) != order(8)
    assert sorted(order(7)) == sorted(order(None))


def test_a_check_may_wait_for_the_longest_promise_a_few_times_but_not_for_months():
    check = msgspec.structs.replace(discover()[0], cost_s=2.0)
    promises = Promises(idle_timeout_s=300, publish_events_per_s=9999, max_token_lifetime_s=1e7)
    assert longest_s(check, promises) == 20 + 4 * 300 + 30
