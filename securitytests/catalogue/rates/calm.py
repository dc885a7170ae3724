"""A control for checks that measure latency: is the machine quiet enough to tell anything?"""

import asyncio

from securitytests.bench import Bench
from securitytests.judging import CannotTellError
from securitytests.probe.client import NotServedError

#: How long the honest pair is measured with nobody else about.
_QUIET_S = 0.5

#: Share of the promised latency that the honest pair may take by itself.
_SHARE = 0.25

#: How long a service may go on working off a flood before the machine is asked again.
_WORKED_OFF_S = 15.0


async def require_calm(bench: Bench, prefix: str = "quiet") -> None:
    """Measure an honest pair alone; figures go to the evidence.

    Raises:
        CannotTellError: alone it takes so long already that a flood would not be what slows it.
    """
    bound = bench.promised("attacked_p99_ms")
    async with bench.watching(prefix) as seen:
        await asyncio.sleep(_QUIET_S)
    p99_s = seen.percentile_s(0.99)
    if p99_s is None or p99_s * 1_000 > _SHARE * bound:
        taken = "nothing came" if p99_s is None else f"a p99 of {p99_s * 1_000:.0f} ms"
        bench.cannot_tell(
            f"an honest pair by itself: {taken}, for a bound of {bound:g} ms under attack; the"
            " machine is too busy, try again"
        )


async def require_calm_again(bench: Bench) -> None:
    """Wait until an honest pair is quick again after a flood; figures go to the evidence.

    A service that still works off what it was sent is slow by itself: that is no excuse, and no
    sign of a busy machine. One that serves nobody until the end has not been excused either.

    Raises:
        CannotTellError: the pair is served, and still not quick, when long enough has passed.
    """
    deadline = bench.now() + _WORKED_OFF_S
    while True:
        try:
            await require_calm(bench, "quiet_again")
        except NotServedError:
            if bench.now() > deadline:
                return
        except CannotTellError:
            if bench.now() > deadline:
                raise
        else:
            return
