"""How long the audit itself stood still: what it timed then says as much of the machine.

It saw nothing of what a service did meanwhile, and answered no ping.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

#: How long the event loop is asked to sleep when it is seen whether it stands still.
_LOOK_S = 0.05


class Stalls:
    """`longest_s` is the longest the event loop stood still while it was watched."""

    def __init__(self) -> None:
        self.longest_s = 0.0

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Watch the event loop while the block runs."""
        async with beside(self._watch()):
            yield

    async def _watch(self) -> None:
        """Sleep again and again; what a sleep takes too long, the loop stood still."""
        while True:
            due_s = time.monotonic() + _LOOK_S
            await asyncio.sleep(_LOOK_S)
            self.longest_s = max(self.longest_s, time.monotonic() - due_s)


def too_long(stalled_s: float, tolerance_s: float) -> str:
    """Say that the audit stood still for longer than deadlines may be missed by, or nothing."""
    if stalled_s <= tolerance_s:
        return ""
    return (
        f"the audit itself stood still for {stalled_s:.1f} s, and deadlines are judged to"
        f" {tolerance_s:g} s: the machine is too busy"
    )


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do the work while the block runs; its failure is raised at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.result()
