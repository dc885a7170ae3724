"""Clients that show no credentials, or none in time."""

import asyncio

from monitor.contract.profile import Method
from monitor.contract.verdicts import Severity, Verdict
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import Attempt, Judgement, closed, either, refused
from securitytests.probe.client import publication
from securitytests.probe.frames import Opcode, encode_frame
from securitytests.probe.peer import Handshake, Peer
from securitytests.probe.stream import PATIENCE_S

#: Between two protocol pings of a client that hopes to keep its connection that way.
_PING_EVERY_S = 0.3

#: How long an event that reached the honest subscriber may take to one that must not have it.
_GRACE_S = 0.3


@check(
    id="AU1",
    title="Without credentials nobody is let in, whichever way",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.CRITICAL,
    references=("CWE-306",),
    remediation="Authenticate before anything is subscribed, in the one place all ways lead to.",
    cost_s=1.0,
    tier="gentle",
)
async def no_credentials(bench: Bench) -> None:
    """Whoever shows nothing must get nothing, by each of the ways in which something is shown.

    Three peers leave out what their way would carry; the one of the `message` way sends a
    subscription or a publication instead. Then an event is published that the honest subscriber
    receives. No peer may see it or a sign of success; one that is not refused outright must be
    waiting for its authentication, or have been for too long.
    """
    identifier = bench.mark()
    subscriber = await bench.client("subscribe")
    listening = asyncio.create_task(subscriber.peer.until_text(identifier, 3 * PATIENCE_S))
    waiting = []
    for method in bench.methods:
        with bench.variant(method):
            peer = await bench.connect()
            handshake = await peer.request(bench.handshake_request())
            if handshake.upgraded and method == "message":
                await peer.send_text(_presumptuous(bench))
            waiting.append((method, peer, handshake))
    publisher = await bench.client("publish")
    await publisher.publish(bench.event(identifier), PATIENCE_S)
    arrived = await listening
    if arrived.kind != "text":
        bench.cannot_tell(f"the honest subscriber did not get the event, but {arrived.kind}")
    for method, peer, handshake in waiting:
        with bench.variant(method):
            bench.judge(await _left_out(bench, method, peer, handshake, identifier))


def _presumptuous(bench: Bench) -> str:
    """Return what a client would say that takes itself for authenticated."""
    return bench.target.subscribe.message or publication(bench.target, bench.event())


async def _left_out(
    bench: Bench, method: Method, peer: Peer, handshake: Handshake, identifier: str
) -> Judgement:
    late = bench.target.answers.get("authentication_deadline")
    expected = either(bench.answer("unauthenticated"), *([late] if late else []))
    if not handshake.upgraded:
        return refused(Attempt(method, handshake, accepted=False), expected, [identifier])
    ending = await peer.until_end(_GRACE_S)
    mark = bench.target.authentication.accepted
    taken = mark is not None and any(mark in text for text in ending.texts)
    attempt = Attempt(method, handshake, taken, ending, ending.texts)
    if ending.ended or taken or any(identifier in text for text in ending.texts):
        return refused(attempt, expected, [identifier])
    if "message" not in bench.methods:
        return Judgement(Verdict.FAIL, "refused, for no first message is asked for", str(attempt))
    return Judgement(Verdict.PASS, "nothing delivered while authentication is due", str(attempt))


@check(
    id="AU5",
    title="Who does not authenticate in time is closed",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.MEDIUM,
    references=("CWE-400",),
    remediation="Give each connection one deadline for its authentication that nothing extends.",
    cost_s=3.0,
    tier="gentle",
)
async def authentication_deadline(bench: Bench) -> None:
    """A connection that need not say who it is costs an attacker nothing to keep.

    One client stays silent after the handshake, one sends protocol pings: both must be closed as
    `answers.authentication_deadline` says, at the promised deadline give or take the tolerance.
    Where no first message is asked for, the handshake itself must be refused.
    """
    if "message" not in bench.methods:
        attempt = await bench.attempt(None, bench.methods[0])
        bench.judge(refused(attempt, bench.answer("unauthenticated")))
        return
    expected = bench.answer("authentication_deadline")
    deadline, tolerance = bench.promised("authentication_deadline_s"), bench.promises.tolerance_s
    peers = {}
    for name in ("silent", "sends protocol pings"):
        peers[name] = await bench.connect()
        await peers[name].request(bench.handshake_request())
    opened = bench.now()
    while bench.now() < opened + deadline - _PING_EVERY_S:
        await peers["sends protocol pings"].send(
            encode_frame(b"still here", Opcode.PING), "ping", within=1
        )
        heard = await peers["sends protocol pings"].until_end(_PING_EVERY_S)
        if heard.ended:
            break
    for name, peer in peers.items():
        with bench.variant(name):
            ending = await peer.until_end(opened + deadline + tolerance - bench.now())
            bench.judge(
                closed(
                    ending.since(opened),
                    expected,
                    within_s=deadline + tolerance,
                    not_before_s=deadline - tolerance,
                )
            )
