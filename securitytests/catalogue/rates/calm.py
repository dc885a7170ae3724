"""A control for checks that measure latency: is the machine quiet enough to tell anything?"""

import asyncio
from typing import NoReturn

from securitytests.bench import Bench
from securitytests.probe.client import NotServedError
from securitytests.watch import Watched

#: How long the honest pair is measured with nobody else about.
_QUIET_S = 0.5

#: Share of the promised latency that the honest pair may take by itself.
_SHARE = 0.25

#: How long a service may go on working off a flood before the machine is asked again.
_WORKED_OFF_S = 15.0

#: Share of a core that an honest pair by itself is far from making a service use.
_BUSY_SHARE = 0.3


async def require_calm(bench: Bench) -> None:
    """Measure an honest pair alone; figures go to the evidence.

    Raises:
        CannotTellError: alone it takes so long already that a flood would not be what slows it.
    """
    seen = await _alone(bench, "quiet")
    if not _calm(bench, seen):
        _too_busy(bench, seen)


async def require_calm_again(bench: Bench) -> None:
    """Wait until an honest pair is quick again after a flood; figures go to the evidence.

    A service that uses the processor while nobody asks it much still works off what it was sent:
    that is no sign of a busy machine. One that serves nobody until the end is not excused either.

    Raises:
        CannotTellError: the pair is slow, and it is not the service that is busy.
    """
    deadline = bench.now() + _WORKED_OFF_S
    while True:
        try:
            seen = await _alone(bench, "quiet_again")
        except NotServedError:
            if bench.now() > deadline:
                return
            continue
        if _calm(bench, seen):
            return
        works_on = (seen.cpu_s or 0.0) > _BUSY_SHARE * seen.duration_s
        if not works_on or bench.now() > deadline:
            _too_busy(bench, seen)


async def _alone(bench: Bench, prefix: str) -> Watched:
    async with bench.watching(prefix) as seen:
        await asyncio.sleep(_QUIET_S)
    return seen


def _calm(bench: Bench, seen: Watched) -> bool:
    p99_s = seen.percentile_s(0.99)
    return p99_s is not None and p99_s * 1_000 <= _SHARE * bench.promised("attacked_p99_ms")


def _too_busy(bench: Bench, seen: Watched) -> NoReturn:
    p99_s, bound = seen.percentile_s(0.99), bench.promised("attacked_p99_ms")
    taken = "nothing came" if p99_s is None else f"a p99 of {p99_s * 1_000:.0f} ms"
    bench.cannot_tell(
        f"an honest pair by itself: {taken}, for a bound of {bound:g} ms under attack; the"
        " machine is too busy, try again"
    )
