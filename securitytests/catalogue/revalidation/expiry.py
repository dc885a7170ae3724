"""Tokens that expire while their connection lives."""

import asyncio

from monitor.contract.profile import Method
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import closed, verdict_of
from securitytests.probe.client import Client
from securitytests.probe.peer import ENDS, Ending

_EVENT_EVERY_S = 0.05


@check(
    id="SE2",
    title="A silent subscriber is cut off when its token expires",
    claim=Claim.REVALIDATION,
    severity=Severity.HIGH,
    references=("CWE-613",),
    remediation="Make a token's expiry a deadline of its connection, kept before each delivery.",
    cost_s=4.0,
)
async def expiry_ends_deliveries(bench: Bench) -> None:
    """A subscriber that never speaks gives no message to validate its token with.

    One subscriber for each way of authenticating holds a token that expires in about a second and
    says nothing, while an event is published every 50 ms. Each must receive events before the
    expiry, none later than the promised deadline after it, and be closed as `answers.expired` says.
    """
    publisher = await bench.client("publish")
    subscribers: list[tuple[Method, Client, float]] = []
    for method in bench.methods:
        token, expires_at = await bench.short_lived("subscribe", ttl_s=1.0)
        subscribers.append((method, await bench.client(token=token, method=method), expires_at))
    publishing = asyncio.create_task(_publish(bench, publisher))
    try:
        await asyncio.gather(*(_judge_one(bench, *one) for one in subscribers))
    finally:
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)


async def _publish(bench: Bench, publisher: Client) -> None:
    while True:
        await publisher.publish(bench.event(), 5)
        await asyncio.sleep(_EVENT_EVERY_S)


async def _judge_one(bench: Bench, method: Method, client: Client, expires_at: float) -> None:
    allowed = bench.promised("expiry_deadline_s")
    started = bench.now()
    delivered, last_at = 0, 0.0
    while True:
        heard = await client.peer.receive(expires_at + allowed + 1.0 - bench.now())
        if heard.kind in {*ENDS, "silence"}:
            break
        if heard.kind == "text":
            delivered, last_at = delivered + 1, heard.at_s
    ending = Ending(heard.kind, heard.at_s - expires_at, heard.code, heard.text)
    with bench.variant(method):
        bench.judge(
            verdict_of(
                delivered > 0 and started < expires_at,
                "events before the expiry",
                f"{delivered} events",
            ),
            verdict_of(
                last_at <= expires_at + allowed,
                f"no event later than {allowed:g} s after the expiry",
                f"the last one {last_at - expires_at:+.2f} s from it",
            ),
            closed(ending, bench.answer("expired"), within_s=allowed, not_before_s=-1.0),
        )
