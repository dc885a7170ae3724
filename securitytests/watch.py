"""Watches a local service during an attack, and what an honest client feels of it.

Memory, descriptors, processor time, latency. Observes only; judging is not done here.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import msgspec
import psutil

from securitytests.probe.client import NotServedError

#: Between two looks at the process.
INTERVAL_S = 0.02

#: Longest an answer to the honest client is waited for; a slower one counts as this.
CANARY_PATIENCE_S = 5.0


class Canary(Protocol):
    """An honest client whose service is measured meanwhile."""

    interval_s: float

    async def measure(self, within: float) -> float:
        """Return how long one round of service took, in seconds; NotServedError if it failed."""


class Watched(msgspec.Struct):
    """What was seen. Memory and descriptors are None where the process cannot be watched."""

    rss_before_bytes: int | None = None
    rss_peak_bytes: int | None = None
    rss_after_bytes: int | None = None
    descriptors_before: int | None = None
    descriptors_peak: int | None = None
    descriptors_after: int | None = None
    cpu_s: float | None = None
    duration_s: float = 0.0
    latencies_s: list[float] = []
    recovery_s: float | None = None
    canary_lost: str = ""

    def percentile_s(self, share: float) -> float | None:
        """Return the latency below which this share (0 to 1) of the honest answers stayed."""
        if not self.latencies_s:
            return None
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    @property
    def rss_growth_bytes(self) -> int | None:
        """How far memory rose above where it began."""
        if self.rss_peak_bytes is None or self.rss_before_bytes is None:
            return None
        return self.rss_peak_bytes - self.rss_before_bytes

    def figures(self, prefix: str) -> dict[str, float]:
        """Return what was measured, units in the names, for the evidence."""
        p99 = self.percentile_s(0.99)
        found = {
            f"{prefix}_rss_peak_bytes": self.rss_peak_bytes,
            f"{prefix}_rss_growth_bytes": self.rss_growth_bytes,
            f"{prefix}_descriptors_peak": self.descriptors_peak,
            f"{prefix}_target_cpu_s": self.cpu_s,
            f"{prefix}_honest_p99_ms": None if p99 is None else p99 * 1000,
            f"{prefix}_honest_samples": len(self.latencies_s) or None,
            f"{prefix}_recovery_s": self.recovery_s,
        }
        return {name: float(value) for name, value in found.items() if value is not None}


@contextlib.asynccontextmanager
async def watching(
    process: psutil.Process | None, canary: Canary | None, clock: Callable[[], float]
) -> AsyncIterator[Watched]:
    """Watch while the block runs: the process, and the answers to an honest client.

    On the way out, `recovery_s` is how long the honest client then waited for an answer.
    """
    seen = Watched()
    started = clock()
    before = _sample(process)
    if before is not None:
        seen.rss_before_bytes = seen.rss_peak_bytes = before[0]
        seen.descriptors_before = seen.descriptors_peak = before[1]
    tasks = [asyncio.create_task(_watch_process(process, seen))]
    if canary is not None:
        tasks.append(asyncio.create_task(_ask(canary, seen, clock)))
    try:
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        seen.duration_s = clock() - started
        after = _sample(process)
        if after is not None:
            seen.rss_after_bytes, seen.descriptors_after = after[0], after[1]
            seen.cpu_s = after[2] - before[2] if before is not None else None
        if canary is not None and not seen.canary_lost:
            try:
                seen.recovery_s = await canary.measure(CANARY_PATIENCE_S)
            except NotServedError as failure:
                seen.canary_lost = str(failure)


def _sample(process: psutil.Process | None) -> tuple[int, int, float] | None:
    """Return resident bytes, open descriptors and processor seconds; None if not to be had."""
    if process is None:
        return None
    try:
        with process.oneshot():
            times = process.cpu_times()
            return process.memory_info().rss, process.num_fds(), times.user + times.system
    except psutil.Error:
        return None


async def _watch_process(process: psutil.Process | None, seen: Watched) -> None:
    while (sample := _sample(process)) is not None:
        seen.rss_peak_bytes = max(seen.rss_peak_bytes or 0, sample[0])
        seen.descriptors_peak = max(seen.descriptors_peak or 0, sample[1])
        await asyncio.sleep(INTERVAL_S)


async def _ask(canary: Canary, seen: Watched, clock: Callable[[], float]) -> None:
    """Note how long each answer takes; one still waited for at the end took at least so long."""
    while True:
        asked_at = clock()
        try:
            seen.latencies_s.append(await canary.measure(CANARY_PATIENCE_S))
        except asyncio.CancelledError:
            seen.latencies_s.append(clock() - asked_at)
            raise
        except NotServedError as error:
            seen.latencies_s.append(CANARY_PATIENCE_S)
            seen.canary_lost = str(error)
            return
        await asyncio.sleep(canary.interval_s)
