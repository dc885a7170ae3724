"""Many connections at the same moment: between looking at a count and raising it."""

import asyncio

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.connections.returning import served_again
from securitytests.check import Claim, check
from securitytests.judging import verdict_of

#: Connections that are tried at once, at most.
_CROWD = 50

#: Requests of the address that are left for trying whether slots come back.
_SPARE_REQUESTS = 15


@check(
    id="CN2",
    title="However many connect at once, no more than the limit are served",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("CWE-367", "CWE-770", "ASVS-15.4.2"),
    remediation="Look at the count and raise it in one step, when the connection is accepted.",
    cost_s=1.0,
    tier="destructive",
)
async def crowd(bench: Bench) -> None:
    """A count that is looked at first and raised later lets in all who come in between.

    From one address up to fifty clients, as many as the promised requests allow and the figures
    say, connect at the same moment, by all ways of authenticating. At least one and never more may
    be served at a time than the profile promises. When all are gone, as many as promised must be
    served again.
    """
    limit, address = int(bench.promised("connections_per_address")), bench.own_address()
    requests = bench.promises.requests_per_window or 10 * _CROWD
    size = min(_CROWD, (requests - limit * 2 - _SPARE_REQUESTS) // 2)
    if size <= limit:
        bench.cannot_tell(f"{requests} requests are too few to try more than {limit} connections")
    bench.figures["connected_at_once"] = size
    token = await bench.token("publish")
    methods = [bench.methods[n % len(bench.methods)] for n in range(size)]
    attempts = await asyncio.gather(
        *(bench.attempt(token, method, source=address) for method in methods)
    )
    served = sum(attempt.accepted for attempt in attempts)
    bench.judge(
        verdict_of(
            0 < served <= limit, f"of {size} at once at most {limit} served", f"{served} served"
        )
    )
    await bench.close()
    with bench.variant("afterwards"):
        bench.judge(await served_again(bench, address, limit))
