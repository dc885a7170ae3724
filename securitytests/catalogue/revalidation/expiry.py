"""Tokens that expire while their connection lives."""

import asyncio

from monitor.contract.profile import Method
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.revalidation.publishing import Deliveries, publish_until_end
from securitytests.check import Claim, check
from securitytests.judging import closed, verdict_of
from securitytests.probe.client import Client
from securitytests.probe.peer import ENDS, Ending

_EVENT_EVERY_S = 0.05

#: How long after its deadline a connection is watched, so that lateness can be told.
_WATCHED_S = 1.0


@check(
    id="SE1",
    title="A client that goes on talking is cut off when its token expires",
    claim=Claim.REVALIDATION,
    severity=Severity.HIGH,
    references=("CWE-613", "ASVS-7.4.1"),
    remediation="Compare the token's expiry with the clock at every message, before handling it.",
    cost_s=4.0,
    tier="gentle",
)
async def expiry_ends_publications(bench: Bench) -> None:
    """A token that is looked at only at the handshake is good for as long as its connection.

    One publisher for each way of authenticating holds a token that expires in about a second and
    publishes every 50 ms. Each must be acknowledged before the expiry; nothing of its may be
    acknowledged or delivered later than the promised deadline after it, and it must be closed as
    `answers.expired` says. A publisher whose token lasts must be served throughout.
    """
    deliveries = Deliveries(bench, await bench.client())
    try:
        await asyncio.gather(
            _lasting(bench, deliveries),
            *(_judge_publisher(bench, method, deliveries) for method in bench.methods),
        )
    finally:
        await deliveries.stop()


async def _judge_publisher(bench: Bench, method: Method, deliveries: Deliveries) -> None:
    with bench.variant(method):
        token, expires_at = await bench.short_lived("publish", ttl_s=1.0)
        client = await bench.client("publish", token=token, method=method)
        allowed = bench.promised("expiry_deadline_s") + bench.promises.tolerance_s
        until = expires_at + allowed + _WATCHED_S
        ending, acknowledged = await publish_until_end(bench, client, deliveries, method, until)
        served = [*acknowledged, *deliveries.arrivals(method)]
        first, last = min(served, default=0.0), max(served, default=0.0)
        since = Ending(ending.kind, ending.after_s + until - expires_at, ending.code, ending.reason)
        bench.judge(
            verdict_of(0 < first < expires_at, "served before", f"{len(served)} signs of service"),
            verdict_of(
                last <= expires_at + allowed,
                f"nothing taken later than {allowed:g} s after the expiry",
                f"the last {last - expires_at:+.2f} s from it",
            ),
            closed(since, bench.answer("expired"), within_s=allowed, not_before_s=-1.0),
        )


async def _lasting(bench: Bench, deliveries: Deliveries) -> None:
    """Show that a good token is served for as long as the others are watched."""
    with bench.variant("a token that lasts"):
        client = await bench.client("publish")
        until = bench.now() + 2.0 + bench.promised("expiry_deadline_s")
        ending, _ = await publish_until_end(bench, client, deliveries, "lasting", until)
        last = max(deliveries.arrivals("lasting"), default=0.0)
        late = until - last
        bench.judge(verdict_of(not ending.ended and late < 1.0, "served throughout", str(ending)))


@check(
    id="SE2",
    title="A silent subscriber is cut off when its token expires",
    claim=Claim.REVALIDATION,
    severity=Severity.HIGH,
    references=("ASVS-7.4.1", "CWE-613"),
    remediation="Make a token's expiry a deadline of its connection, kept before each delivery.",
    cost_s=4.0,
    tier="gentle",
)
async def expiry_ends_deliveries(bench: Bench) -> None:
    """A subscriber that never speaks gives no message to validate its token with.

    One subscriber for each way of authenticating holds a token that expires in about a second and
    says nothing, while an event is published every 50 ms. Each must receive events before the
    expiry, none later than the promised deadline and its tolerance after it, and be closed as
    `answers.expired` says.
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
    allowed = bench.promised("expiry_deadline_s") + bench.promises.tolerance_s
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
