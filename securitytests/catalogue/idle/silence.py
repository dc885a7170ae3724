"""Clients that say nothing."""

import asyncio

from monitor.contract.profile import Method
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import closed


@check(
    id="ID1",
    title="A silent client is closed at the idle timeout",
    claim=Claim.IDLE,
    severity=Severity.MEDIUM,
    references=("ASVS-7.3.1", "CWE-613"),
    remediation="Measure idleness by the client's own messages; a pong it owes is none.",
    cost_s=5.0,
    tier="gentle",
)
async def silent_client(bench: Bench) -> None:
    """A forgotten connection stays open for whoever finds it, and holds a slot.

    One client for each way of authenticating says nothing but the pongs the protocol demands, and
    is delivered nothing, for it may only publish. Each must be closed as `answers.idle` says, at
    the promised timeout give or take the tolerance.
    """
    await asyncio.gather(*(_judge_one(bench, method) for method in bench.methods))


async def _judge_one(bench: Bench, method: Method) -> None:
    with bench.variant(method):
        timeout, tolerance = bench.promised("idle_timeout_s"), bench.promises.tolerance_s
        expected = bench.answer("idle")
        client = await bench.client("publish", method=method)
        ending = await client.peer.until_end(timeout + tolerance + 0.5)
        bench.judge(
            closed(ending, expected, within_s=timeout + tolerance, not_before_s=timeout - tolerance)
        )
