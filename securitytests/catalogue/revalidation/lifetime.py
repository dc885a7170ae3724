"""How long a connection may live in all, however busy it is and however often it is renewed."""

import asyncio
import time

from monitor.contract.profile import Method
from monitor.contract.target import fill
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import closed, refused, verdict_of
from securitytests.probe import jws
from securitytests.probe.client import Client
from securitytests.probe.peer import ENDS, Ending

_SAY_EVERY_S = 0.2

#: How long after its deadline a connection is watched, so that lateness can be told.
_WATCHED_S = 1.0


@check(
    id="SE8",
    title="No connection outlives its last token, however busy or renewed",
    claim=Claim.REVALIDATION,
    severity=Severity.MEDIUM,
    references=("ASVS-7.3.2", "CWE-613"),
    remediation="Set the deadline anew from each fresh token, to exactly its expiry; bound both.",
    cost_s=5.0,
    tier="gentle",
)
async def absolute_lifetime(bench: Bench) -> None:
    """A session that can be stretched without end never asks who is there again.

    One publisher for each way of authenticating holds a token that expires in about two seconds,
    publishes all the time, and authenticates again with one that expires a second later. Where the
    profile says `authentication.again = "renews"`, it must be served past the first expiry and be
    closed as `answers.expired` says at the second, within the promised deadline; elsewhere at the
    first. A token that lives longer than `promises.max_token_lifetime_s` must be refused.
    """
    async with asyncio.TaskGroup() as group:
        for method in bench.methods:
            group.create_task(_renewed(bench, method))
        group.create_task(_too_long(bench))
        group.create_task(_connection_lifetime(bench))


async def _renewed(bench: Bench, method: Method) -> None:
    with bench.variant(f"{method}, renewed once"):
        subject = bench.mark()
        first = await bench.signed("publish", subject=subject, ttl_s=1.5)
        client = await bench.client("publish", token=first.token, method=method)
        until = [float(first.claims["exp"])]
        message, renews = (
            bench.target.authentication.message,
            bench.target.authentication.again == "renews",
        )
        if message is not None and renews:
            left = until[0] - time.time()
            second = await bench.signed("publish", subject=subject, ttl_s=left + 0.5)
            await client.peer.send_text(fill(message, {"token": second.token}))
            until.append(float(second.claims["exp"]))
        allowed = bench.promised("expiry_deadline_s") + bench.promises.tolerance_s
        due = bench.now() + until[-1] - time.time()
        ending = await _busy_until_end(bench, client, due + allowed + _WATCHED_S)
        since = Ending(ending.kind, ending.after_s - due, ending.code, ending.reason)
        bench.judge(closed(since, bench.answer("expired"), within_s=allowed, not_before_s=-0.5))


async def _busy_until_end(bench: Bench, client: Client, until: float) -> Ending:
    """Publish and listen until the connection ends; `after_s` of the ending is loop time."""
    while bench.now() < until:
        await client.send_event(bench.event())
        pause = bench.now() + _SAY_EVERY_S
        while (left := pause - bench.now()) > 0:
            heard = await client.peer.receive(left)
            if heard.kind in ENDS:
                return Ending(heard.kind, heard.at_s, heard.code, heard.text)
    return Ending("silence", bench.now())


async def _too_long(bench: Bench) -> None:
    longest = bench.promises.max_token_lifetime_s
    if longest is None:
        return
    key = await bench.server.tokens.key()
    for method in bench.methods:
        with bench.variant(f"{method}, a token that lives too long"):
            signed = await bench.signed("subscribe", ttl_s=longest - 60)
            attempt = await bench.attempt(signed.token, method)
            bench.judge(verdict_of(attempt.accepted, "the longest is accepted", str(attempt)))
            claims = {**signed.claims, "exp": int(signed.claims["exp"]) + 3_660}
            longer = jws.sign(signed.header, claims, key.secret, key.algorithm)
            bench.transcript.protect(longer)
            attempt = await bench.attempt(longer, method)
            bench.judge(refused(attempt, bench.answer("unauthenticated")))


async def _connection_lifetime(bench: Bench) -> None:
    lifetime = bench.promises.connection_lifetime_s
    if lifetime is None:
        return
    with bench.variant("lifetime of a connection"):
        client = await bench.client("publish")
        opened, tolerance = bench.now(), bench.promises.tolerance_s
        ending = await _busy_until_end(bench, client, opened + lifetime + tolerance + _WATCHED_S)
        bench.judge(
            verdict_of(
                ending.ended and ending.after_s <= opened + lifetime + tolerance,
                f"closed within {lifetime + tolerance:g} s",
                str(Ending(ending.kind, ending.after_s - opened, ending.code, ending.reason)),
            )
        )
