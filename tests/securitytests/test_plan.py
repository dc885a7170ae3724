"""What an audit settles before it begins: which checks, in what order, and when one is cut off."""

from datetime import timedelta
from pathlib import Path

import msgspec

from monitor.contract.promises import Promises
from monitor.contract.target import load_target
from monitor.contract.verdicts import Verdict
from securitytests.check import discover
from securitytests.gate.conduct import longest_s
from securitytests.gate.plan import Permissions, make_plan

REFERENCE = Path(__file__).parents[2] / "monitor" / "target.toml"


def order(seed):
    plan = make_plan(load_target(REFERENCE), seed=seed)
    return [check.id for check in plan.in_order(plan.checks)]


#: What floods, uses up limits, takes rights away, or speaks to whoever else watches.
DISTURBING = {
    *("AU9", "AZ5", "HS7", "HS8", "HS9", "HT5", "ID6", "LK5", "OP1", "SC1", "TK10", "TL1"),
    *("SE3", "SE4", "SE7"),
    *("FR5", "FR6", "FR7", "FR8", "FR9", "FR10", "FR11"),
    *("CN1", "CN2", "CN3", "CN4", "CN5", "CN6"),
    *("RL1", "RL2", "RL3", "RL4", "RL5", "RL6", "RL7", "RL8", "RL9", "RL10", "RL11", "RL12"),
}


def test_somebody_elses_service_is_attacked_gently_unless_told_otherwise():
    permitted = Permissions(allowed_hosts=("staging.example",))
    plan = make_plan(load_target(REFERENCE), permissions=permitted)
    assert {check.id for check, _ in plan.left_out} == DISTURBING
    assert {conclusion.verdict for _, conclusion in plan.left_out} == {Verdict.NOT_RUN}
    assert {"AU1", "AZ1", "HS1", "LK1", "SE2", "TK1", "TL2"} <= set(plan.expected)
    assert not any(check.alone for check in plan.checks)


def test_this_machine_is_attacked_with_everything():
    plan = make_plan(load_target(REFERENCE))
    assert set(plan.expected) == {check.id for check in discover()}


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


def test_a_check_whose_waiver_expired_fails_once_selected_or_not():
    target = load_target(REFERENCE)
    late = max(waiver.expires for waiver in target.waivers) + timedelta(days=1)
    for only in (None, "HS1"):
        plan = make_plan(target, only=only, today=late)
        assert [(check.id, why.verdict) for check, why in plan.left_out] == [("AU11", Verdict.FAIL)]
        assert "AU11" not in plan.expected
