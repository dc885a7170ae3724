"""A control for checks that measure latency: is the machine quiet enough to tell anything?"""

import asyncio

from securitytests.bench import Bench

#: How long the honest pair is measured with nobody else about.
_QUIET_S = 0.5

#: Share of the promised latency that the honest pair may take by itself.
_SHARE = 0.25


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
