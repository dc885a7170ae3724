"""What an audit will do, settled before anything is connected to: target, checks, permissions."""

import random
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime

import msgspec

from monitor.contract.findings import Finding
from monitor.contract.target import Target
from monitor.contract.verdicts import UsageError, Verdict
from securitytests.check import Check, Tier, discover, select
from securitytests.gate.conclude import Conclusion, declined, expired, require_known

#: Told after each check: its finding, and how many are done of how many.
Tell = Callable[[Finding, int, int], None]


class Permissions(msgspec.Struct, frozen=True):
    """What may be done to whom. Beyond loopback only named hosts, gently unless told otherwise.

    `budget_connections` and `budget_s` bound what a destructive audit of another host may use.
    """

    allowed_hosts: tuple[str, ...] = ()
    tier: Tier | None = None
    budget_connections: int | None = None
    budget_s: float | None = None


class Plan(msgspec.Struct, frozen=True):
    """One audit. `target` has its durations shortened unless `real_time`.

    `checks` are those to conduct, `left_out` those that will not be, each with the reason. `seed`
    shuffles the order in which they begin; without one the costliest begin first.
    """

    target: Target
    checks: tuple[Check, ...]
    left_out: tuple[tuple[Check, Conclusion], ...]
    real_time: bool
    only: str | None
    permissions: Permissions
    seed: int | None = None

    def in_order(self, checks: Iterable[Check]) -> list[Check]:
        """Return checks in the order in which they begin."""
        if self.seed is None:
            return sorted(checks, key=lambda check: -check.cost_s)
        shuffled = sorted(checks, key=lambda check: check.order)
        random.Random(self.seed).shuffle(shuffled)  # noqa: S311 - an order, no secret
        return shuffled

    @property
    def expected(self) -> tuple[str, ...]:
        """Ids of the checks that have to run."""
        return tuple(check.id for check in self.checks)


def make_plan(
    target: Target,
    *,
    only: str | None = None,
    real_time: bool = False,
    permissions: Permissions | None = None,
    seed: int | None = None,
    today: date | None = None,
) -> Plan:
    """Settle what will be done. A check whose waiver has expired fails, selected or not.

    Raises:
        NoVerdictError: nothing is selected.
        UsageError: the profile declines or waives what does not exist; a destructive audit of
            another host without budgets.
    """
    permitted = permissions or Permissions()
    every = discover()
    waived = [waiver.check for waiver in target.waivers]
    require_known(every, target.declined, waived, f"target profile {target.path}")
    lapsed = expired(target.waivers, today or datetime.now(UTC).date())
    remote = bool(permitted.allowed_hosts)
    tier = permitted.tier or ("gentle" if remote else "destructive")
    budgets = (permitted.budget_connections, permitted.budget_s)
    if remote and tier == "destructive" and None in budgets:
        raise UsageError(
            "audit: --tier destructive on another host needs budgets: give --budget-connections"
            " and --budget-seconds"
        )
    conducted = []
    left_out = [(check, lapsed[check.id]) for check in every if check.id in lapsed]
    for check in select(every, only):
        if check.id in lapsed:
            continue
        reason = declined(check, target.declined)
        if reason is not None:
            left_out.append((check, Conclusion(Verdict.NOT_APPLICABLE, f"declined: {reason}")))
        elif check.tier == "destructive" and tier == "gentle":
            left_out.append((check, Conclusion(Verdict.NOT_RUN, "the gentle tier leaves it out")))
        else:
            conducted.append(check)
    return Plan(
        target=target if real_time else target.shortened(),
        checks=tuple(conducted),
        left_out=tuple(left_out),
        real_time=real_time or target.short is None,
        only=only,
        permissions=permitted,
        seed=seed,
    )
