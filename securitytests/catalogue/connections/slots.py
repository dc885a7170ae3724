"""Slots: how many connections an address may have, and that each comes back."""

import asyncio

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import Attempt, Judgement, answered, verdict_of
from securitytests.probe.client import Client, NotServedError

#: A slot may take this long to come back once the client is gone.
_RETURN_S = 2.0

#: Between two tries whether it has: each is a request the service counts.
_TRY_EVERY_S = 0.1


@check(
    id="CN1",
    title="The connection above the limit is refused; a slot comes back after every kind of close",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.HIGH,
    references=("CWE-770", "CWE-772"),
    remediation="Take the slot on accepting; give it back in the one place every connection ends.",
    cost_s=1.0,
    tier="destructive",
)
async def slots(bench: Bench) -> None:
    """Connections cost memory for as long as they live, so an address may have only so many.

    From one address as many clients connect as the profile promises: all must be served, the next
    refused as `answers.too_many_connections` says. Then one client after another ends, each in
    another way: exactly one new client must be served within two seconds, the next refused again.
    """
    limit = int(bench.promised("connections_per_address"))
    statuses = bench.answer("too_many_connections").status
    address = bench.own_address()
    held: list[Client] = []
    with bench.variant(f"{limit} at a time"):
        held += [await bench.client("publish", source=address) for _ in range(limit)]
        bench.judge(verdict_of(True, f"{limit} served", f"{limit} served"))
    with bench.variant("the next"):
        bench.judge(answered((await _try(bench, address)).handshake, statuses))
    for name in ("closing handshake", "FIN", "RST"):
        with bench.variant(f"after {name}"):
            if not held:
                bench.cannot_tell("no client is connected whose slot could come back")
            await _end(held.pop(0), name)
            bench.judge(await _returned(bench, address, held))
            bench.judge(answered((await _try(bench, address)).handshake, statuses))


async def _try(bench: Bench, address: str) -> Attempt:
    return await bench.attempt(await bench.token("publish"), bench.methods[0], source=address)


async def _end(client: Client, how: str) -> None:
    peer = client.peer
    match how:
        case "closing handshake":
            await peer.send_close(1000)
            await peer.until_end(_RETURN_S)
            peer.stream.close()
        case "FIN":
            peer.stream.close()
        case _:
            peer.stream.abort()


async def _returned(bench: Bench, address: str, held: list[Client]) -> Judgement:
    """Judge whether a slot comes back in time; the client that got it is held."""
    deadline = bench.now() + _RETURN_S
    while True:
        try:
            held.append(await bench.client("publish", source=address))
        except NotServedError:
            if bench.now() > deadline:
                return verdict_of(False, f"a slot within {_RETURN_S:g} s", "none came back")
            await asyncio.sleep(_TRY_EVERY_S)
        else:
            return verdict_of(True, f"a slot within {_RETURN_S:g} s", "it came back")
