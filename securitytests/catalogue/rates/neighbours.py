"""What others feel of one who is limited: nothing."""

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.rates.asking import (
    ask_all,
    beyond,
    counted_page,
    say,
    served,
    speaks,
    without_message,
)
from securitytests.check import Claim, check
from securitytests.judging import answered, refused, verdict_of


@check(
    id="RL11",
    title="An address that is limited takes nothing from another",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.HIGH,
    references=("CWE-410", "ASVS-15.2.2"),
    remediation="Key every count by the whole address; share none between clients.",
    cost_s=1.5,
    tier="destructive",
)
async def neighbours_are_spared(bench: Bench) -> None:
    """A limit that hits the wrong one is itself a denial of service.

    One address uses up its requests, and another its failed authentications, until both are
    refused. The addresses next to them must be served: a page, a handshake by each way, messages;
    a bad token of theirs must be refused as any other, not as one too many.
    """
    left, greedy, right, guesser = [bench.own_address() for _ in range(4)]
    page, limit = counted_page(bench), int(bench.promised("requests_per_window"))
    started = bench.now()
    count = served(bench, await ask_all(bench, [page] * limit, greedy))
    with bench.variant("the greedy one"):
        bench.judge(verdict_of(count == limit, f"{limit} served", f"{count} served"))
        bench.judge(beyond(bench, await bench.ask(page, greedy), started))
    with bench.variant("the one who guesses"):
        await _guess(bench, guesser)
    for name, address in (("one before", left), ("one after", right)):
        await _served(bench, name, address)


async def _guess(bench: Bench, address: str) -> None:
    """Fail to authenticate until that is refused for being too often."""
    allowed = bench.promises.failed_authentications
    if allowed is None:
        return
    attempt = await bench.attempt(bench.mark(), without_message(bench), source=address)
    for _ in range(allowed):
        attempt = await bench.attempt(bench.mark(), without_message(bench), source=address)
    bench.judge(refused(attempt, bench.answer("too_many_failures")))


async def _served(bench: Bench, name: str, address: str) -> None:
    with bench.variant(f"{name}, a page"):
        bench.judge(answered(await bench.ask(counted_page(bench), address), (200,)))
    for method in bench.methods:
        with bench.variant(f"{name}, handshake by {method}"):
            token = await bench.token("publish")
            attempt = await bench.attempt(token, method, source=address)
            bench.judge(verdict_of(attempt.accepted, "served", str(attempt)))
        with bench.variant(f"{name}, a bad token by {method}"):
            attempt = await bench.attempt(bench.mark(), method, source=address)
            bench.judge(refused(attempt, bench.answer("unauthenticated")))
    if speaks(bench):
        with bench.variant(f"{name}, a message"):
            client = await bench.client("publish", source=address)
            said = await say(bench, client)
            mark = bench.target.keepalive.answer if bench.target.keepalive is not None else ""
            bench.judge(verdict_of(mark in said, "answered", said or "silence"))
