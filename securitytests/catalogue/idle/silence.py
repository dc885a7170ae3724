"""Clients that say nothing."""

import asyncio

from monitor.contract.profile import Method
from monitor.contract.target import fill
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import closed
from securitytests.probe.client import Client
from securitytests.probe.peer import Ending
from securitytests.probe.stream import PATIENCE_S

#: How long after its deadline a connection is watched, so that lateness can be told.
_WATCHED_S = 0.5

#: A subscriber that is sent something for so many idle timeouts is not idle, and is given up.
_TIMEOUTS = 3


@check(
    id="ID1",
    title="A silent client is closed at the idle timeout",
    claim=Claim.IDLE,
    severity=Severity.MEDIUM,
    references=("ASVS-7.3.1", "CWE-613"),
    remediation="Measure idleness by the client's own messages; a pong it owes is none.",
    cost_s=5.0,
    tier="gentle",
    server="own",
)
async def silent_client(bench: Bench) -> None:
    """A forgotten connection stays open for whoever finds it, and holds a slot.

    Two clients for each way of authenticating say nothing but the pongs the protocol demands: one
    that may only publish, and a subscriber on a service to which nobody publishes. Each must be
    closed as `answers.idle` says, at the promised timeout give or take the tolerance. Where
    `promises.activity` names deliveries, a subscriber that is sent something all the same has
    that time on top.
    """
    async with asyncio.TaskGroup() as group:
        for method in bench.methods:
            group.create_task(_publisher(bench, method))
            group.create_task(_subscriber(bench, method))


async def _publisher(bench: Bench, method: Method) -> None:
    with bench.variant(method):
        client = await bench.client("publish", method=method)
        timeout, tolerance = bench.promised("idle_timeout_s"), bench.promises.tolerance_s
        _judge(bench, await client.peer.until_end(timeout + tolerance + _WATCHED_S))


async def _subscriber(bench: Bench, method: Method) -> None:
    with bench.variant(f"{method}, subscribed"):
        client = await bench.client("subscribe", method=method)
        ask = bench.target.subscribe
        if bench.target.start is None and ask.filtered is not None:  # others may publish there
            await client.subscribe(PATIENCE_S, fill(ask.filtered, {"value": bench.mark()}))
        _judge(bench, *await _left_alone(bench, client))


async def _left_alone(bench: Bench, client: Client) -> tuple[Ending, float]:
    """Return how a subscriber ended, and how long after it began it was last sent something.

    That is 0 where no delivery puts off the idle timeout.
    """
    timeout, tolerance = bench.promised("idle_timeout_s"), bench.promises.tolerance_s
    within = timeout + tolerance + _WATCHED_S
    mark = "" if "delivery" in bench.promises.activity else None  # any message, or none
    started = sent_at = bench.now()
    while True:
        ending = await client.peer.until_end(sent_at + within - bench.now(), stop_at=mark)
        if ending.ended or mark is None or not ending.texts:
            return ending.since(started), sent_at - started
        sent_at = max(client.peer.stream.received_at, sent_at)
        if sent_at > started + _TIMEOUTS * timeout:
            bench.cannot_tell("the subscriber was sent messages all the time: it was never idle")


def _judge(bench: Bench, ending: Ending, later_s: float = 0.0) -> None:
    """Judge an ending at the idle timeout, or up to so much later."""
    timeout, tolerance = bench.promised("idle_timeout_s"), bench.promises.tolerance_s
    within = later_s + timeout + tolerance
    expected = bench.answer("idle")
    bench.judge(closed(ending, expected, within_s=within, not_before_s=timeout - tolerance))
