"""Tokens that are revoked, and subjects that are disabled, while their connections live."""

import asyncio
from collections.abc import Awaitable, Iterable

from monitor.contract.profile import Method
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.revalidation.publishing import EVERY_S, Deliveries, publish_until_end
from securitytests.check import Claim, check
from securitytests.judging import closed, refused, verdict_of
from securitytests.probe.client import Client, NotServedError
from securitytests.probe.peer import Ending
from securitytests.probe.stream import StreamEndedError, UnreachableError

#: How long after its deadline a connection is watched, so that lateness can be told.
_WATCHED_S = 1.0


@check(
    id="SE3",
    title="Revoking a token closes every connection of it, and no other",
    claim=Claim.REVALIDATION,
    severity=Severity.HIGH,
    references=("ASVS-7.4.1", "CWE-613"),
    remediation="Look through all live connections when the table of revocations changes.",
    cost_s=3.0,
    tier="destructive",
)
async def revocation_closes_connections(bench: Bench) -> None:
    """A stolen token is revoked to end its use, not only its next use.

    Two silent subscribers for each way of authenticating hold one token, which is then revoked.
    Each must be closed as `answers.revoked` says within the promised deadline, counted from the
    end of the command, and the token be refused afterwards by every way. A subscriber of the same
    subject with another token must stay.
    """
    subject = bench.mark()
    token = (await bench.signed("subscribe", subject=subject)).token
    spared = await bench.client(token=(await bench.signed("subscribe", subject=subject)).token)
    subscribers = [
        (f"{method}, connection {number}", await bench.client(token=token, method=method))
        for method in bench.methods
        for number in (1, 2)
    ]
    watched = await _watch_while(bench, subscribers, spared, bench.revoke(token))
    for name, ending in watched.items():
        with bench.variant(name):
            bench.judge(closed(ending, bench.answer("revoked"), within_s=_allowed_s(bench)))
    await _refused_again(bench, token)
    with bench.variant("another token of the same subject"):
        await _judge_spared(bench, spared)


@check(
    id="SE4",
    title="Disabling a subject closes all of its connections, and no other's",
    claim=Claim.REVALIDATION,
    severity=Severity.HIGH,
    references=("ASVS-7.4.2", "CWE-613"),
    remediation="Compare each connection's subject with the disabled ones when those change.",
    cost_s=3.0,
    tier="destructive",
)
async def disabling_closes_connections(bench: Bench) -> None:
    """Who leaves must lose what is open, under whichever token it was opened.

    A subject has a subscriber for each way of authenticating and a publisher, each with a token
    of its own, and is then disabled. All must be closed as `answers.revoked` says within the
    promised deadline; a token signed afterwards must be refused by every way. A subscriber whose
    subject begins with the same characters must stay.
    """
    subject = bench.mark()
    clients: list[tuple[str, Client]] = []
    for method in bench.methods:
        token = (await bench.signed("subscribe", subject=subject)).token
        clients.append((f"{method}, subscriber", await bench.client(token=token, method=method)))
    token = (await bench.signed("publish", subject=subject)).token
    clients.append(("publisher", await bench.client("publish", token=token)))
    similar = (await bench.signed("subscribe", subject=f"{subject}0")).token
    spared = await bench.client(token=similar)
    watched = await _watch_while(bench, clients, spared, bench.disable(subject))
    for name, ending in watched.items():
        with bench.variant(name):
            bench.judge(closed(ending, bench.answer("revoked"), within_s=_allowed_s(bench)))
    await _refused_again(bench, (await bench.signed("subscribe", subject=subject)).token)
    with bench.variant("another subject"):
        await _judge_spared(bench, spared)


@check(
    id="SE7",
    title="While a token is revoked, nothing slips through between looking and doing",
    claim=Claim.REVALIDATION,
    severity=Severity.HIGH,
    references=("CWE-367", "ASVS-15.4.2"),
    remediation="Ask for revocation where a token is used, from memory that follows its table.",
    cost_s=5.0,
    tier="destructive",
)
async def revocation_race(bench: Bench) -> None:
    """What was verified a moment ago may be revoked now; a cache makes the moment long.

    While a token is revoked, its publishers, one for each way of authenticating, publish every
    50 ms, and new handshakes with it are tried all the time. From the promised deadline after the
    command's end on, no publication may be acknowledged or delivered and no handshake accepted.
    """
    token = (await bench.signed("publish")).token
    deliveries = Deliveries(bench, await bench.client())
    clients = {
        method: await bench.client("publish", token=token, method=method)
        for method in bench.methods
    }
    revoking = asyncio.create_task(bench.revoke(token))
    allowed = _allowed_s(bench)
    far = bench.now() + 60.0
    publishing = {
        method: asyncio.create_task(publish_until_end(bench, client, deliveries, method, far))
        for method, client in clients.items()
    }
    accepted: dict[Method, list[float]] = {method: [] for method in bench.methods}
    trying = [
        asyncio.create_task(_try_again(bench, token, method, accepted[method]))
        for method in bench.methods
    ]
    try:
        await revoking
        revoked_at = bench.now()
        await asyncio.sleep(allowed + _WATCHED_S)  # what must not come is watched for this long
        for method in bench.methods:
            with bench.variant(method):
                done = publishing[method]
                acknowledged = done.result()[1] if done.done() else [bench.now()]
                served = [*acknowledged, *deliveries.arrivals(method)]
                _judge_last(bench, "publication taken", served, revoked_at + allowed)
                _judge_last(bench, "handshake accepted", accepted[method], revoked_at + allowed)
    finally:
        for task in (*trying, *publishing.values(), revoking):
            task.cancel()
        await asyncio.gather(*trying, *publishing.values(), revoking, return_exceptions=True)
        await deliveries.stop()


async def _try_again(bench: Bench, token: str, method: Method, accepted: list[float]) -> None:
    """Come in with the token again and again; note when the tries began that succeeded."""
    while True:
        began = bench.now()
        try:
            attempt = await bench.attempt(token, method)
        except (UnreachableError, StreamEndedError, NotServedError):
            continue
        if attempt.accepted:
            accepted.append(began)
        await asyncio.sleep(EVERY_S)


def _judge_last(bench: Bench, what: str, times: list[float], deadline: float) -> None:
    last = max(times, default=0.0)
    bench.judge(
        verdict_of(bool(times), f"a {what} before the revocation", f"{len(times)} in all"),
        verdict_of(
            last <= deadline,
            f"no {what} later than the deadline",
            f"the last {last - deadline:+.2f} s from it",
        ),
    )


def _allowed_s(bench: Bench) -> float:
    return bench.promised("revocation_deadline_s") + bench.promises.tolerance_s


async def _watch_while(
    bench: Bench,
    clients: Iterable[tuple[str, Client]],
    spared: Client,
    command: Awaitable[None],
) -> dict[str, Ending]:
    """Watch clients while rights are taken away; the endings count from the command's end.

    The one that is to be spared answers pings meanwhile.
    """
    named = dict(clients)
    patience = 20.0 + _allowed_s(bench) + _WATCHED_S
    started = bench.now()
    watching = {
        name: asyncio.create_task(client.peer.until_end(patience)) for name, client in named.items()
    }
    listening = asyncio.create_task(spared.peer.until_end(patience))
    talking = asyncio.create_task(_stay_active(bench, (spared, *named.values())))
    try:
        await command
        ended_at = bench.now()
        await asyncio.wait(watching.values(), timeout=_allowed_s(bench) + _WATCHED_S)
        endings = {}
        for name, task in watching.items():
            ending = task.result() if task.done() else Ending("silence", bench.now() - started)
            after = max(0.0, started + ending.after_s - ended_at)
            endings[name] = Ending(ending.kind, after, ending.code, ending.reason)
        return endings
    finally:
        talking.cancel()
        for task in (listening, *watching.values()):
            task.cancel()
        await asyncio.gather(listening, talking, *watching.values(), return_exceptions=True)


async def _stay_active(bench: Bench, clients: Iterable[Client]) -> None:
    """Keep clients from being idle, should a command take that long."""
    idle, keepalive = bench.promises.idle_timeout_s, bench.target.keepalive
    everyone = tuple(clients)
    while idle is not None and keepalive is not None:
        await asyncio.sleep(idle / 2)
        for client in everyone:
            await client.peer.send_text(keepalive.message)


async def _refused_again(bench: Bench, token: str) -> None:
    bench.transcript.protect(token)
    for method in bench.methods:
        with bench.variant(f"{method}, again"):
            bench.judge(refused(await bench.attempt(token, method), bench.answer("revoked")))


async def _judge_spared(bench: Bench, client: Client) -> None:
    """Judge that a client who lost nothing is still delivered to."""
    publisher, identifier = await bench.client("publish"), bench.mark()
    await publisher.publish(bench.event(identifier), 5)
    heard = await client.peer.until_text(identifier, 5)
    bench.judge(verdict_of(heard.kind == "text", "still served", heard.kind))
