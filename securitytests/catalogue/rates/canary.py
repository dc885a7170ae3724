"""What an honest client feels while others flood: its latency, the service's memory, recovery."""

import asyncio

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.rates.asking import counted_page
from securitytests.catalogue.rates.calm import require_calm
from securitytests.catalogue.rates.enduring import endure, judge_attack
from securitytests.catalogue.rates.floods import FLOODS, compression_bombs
from securitytests.check import Claim, check
from securitytests.judging import verdict_of

#: How long each flood lasts: tens of honest events, and long enough for limits to bite.
_FLOOD_S = 1.2

#: Addresses that each ask once, and how many of them at a time.
_STRANGERS = 4_000
_AT_A_TIME = 20


@check(
    id="RL9",
    title="An honest client is served while others flood, and the service stays small",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.HIGH,
    references=("ASVS-15.2.2", "CWE-400", "CWE-770"),
    remediation="Refuse early and cheaply, bound what each peer may make you keep, never wait.",
    cost_s=9.0,
    tier="destructive",
    server="own",
    alone=True,
)
async def honest_among_floods(bench: Bench) -> None:
    """That limits exist is one thing; that they protect anyone is another, and can be measured.

    First the honest pair is measured alone. Then eight addresses flood at a steady rate, one kind
    at a time: handshakes with bad tokens, messages, handshakes that dribble, subscribers that do
    not read while large events are published, and frames of the largest size and beyond. Meanwhile
    an honest publisher's events must reach an honest subscriber with a 99th percentile of at most
    `promises.attacked_p99_ms`, the service keep below `attacked_memory_bytes`, and afterwards
    serve again within `attacked_recovery_s`.
    """
    await endure(bench, FLOODS, _FLOOD_S)


@check(
    id="RL12",
    title="An honest client is served while others send compression bombs",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.HIGH,
    references=("CWE-409", "CWE-400"),
    remediation="Stop inflating at the limit, and close; keep no context between messages.",
    cost_s=3.0,
    tier="destructive",
    variant="compression",
    alone=True,
)
async def honest_among_bombs(bench: Bench) -> None:
    """A few hundred bytes a peer sends become a megabyte of the service's memory and time.

    On the service with inbound compression, eight addresses send one bomb after the other, each a
    thousand times as large as it looks, and come back when they are closed. Meanwhile an honest
    pair, which does not compress, must be served as RL9 demands.
    """
    await endure(bench, {"compression_bombs": compression_bombs}, _FLOOD_S)


@check(
    id="RL10",
    title="Counting many addresses takes bounded memory",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("CWE-770", "ASVS-15.2.2"),
    remediation="Keep little of an address, forget it after its window, bound their number.",
    cost_s=6.0,
    tier="destructive",
    server="own",
    alone=True,
)
async def many_addresses(bench: Bench) -> None:
    """A table of all who ever asked is itself what an attacker fills.

    Each of 4,000 addresses asks once for a page, over and above an honest pair. Memory must stay
    below `promises.attacked_memory_bytes`, the honest latency within `attacked_p99_ms`, and every
    address be served.
    """
    page = counted_page(bench)
    if not bench.server.addresses.many:
        bench.cannot_tell("the target is not on 127.0.0.0/8: no source addresses to choose")
    places = asyncio.Semaphore(_AT_A_TIME)
    served = 0

    async def ask() -> None:
        nonlocal served
        async with places:
            answer = await bench.ask(page)
        served += answer.status == 200

    await require_calm(bench)
    async with bench.watching("many_addresses") as seen:
        await asyncio.gather(*(ask() for _ in range(_STRANGERS)))
    growth = seen.rss_growth_bytes
    bench.figures["many_addresses_count"] = _STRANGERS
    if growth is not None:
        bench.figures["many_addresses_growth_each_bytes"] = round(growth / _STRANGERS)
    bench.judge(verdict_of(served == _STRANGERS, f"{_STRANGERS} served", f"{served} served"))
    await judge_attack(bench, seen)
