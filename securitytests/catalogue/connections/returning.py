"""Whether slots come back once the connections that held them are over."""

import asyncio

from securitytests.bench import Bench
from securitytests.judging import Judgement, verdict_of
from securitytests.probe.client import NotServedError

#: A slot may take this long to come back once its connection is over.
RETURN_S = 2.0

#: Between two tries whether it has: each is a request the service counts.
_TRY_EVERY_S = 0.2


async def served_again(bench: Bench, address: str, count: int) -> Judgement:
    """Judge whether so many clients can connect from the address, in time; they are held."""
    deadline, held = bench.now() + RETURN_S, 0
    why = ""
    while held < count:
        try:
            await bench.client("publish", source=address)
            held += 1
        except NotServedError as error:
            why = f": {error}"
            if bench.now() > deadline:
                break
            await asyncio.sleep(_TRY_EVERY_S)
    return verdict_of(held == count, f"{count} served again", f"{held} served{why}")
