"""Watches a local service during an attack, and what an honest client feels of it.

Memory, descriptors, processor time, latency. The honest client asks on a schedule fixed in advance,
whether or not it was answered, and its latency counts from when a request was due: a service that
stands still makes every request wait that falls due meanwhile, and each of them is counted.
Observes only; judging is not done here.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import msgspec

from securitytests.probe.client import NotServedError
from securitytests.processes import ProcessTree, Usage

#: Between two looks at the processes; longer where there are so many that looking takes long.
INTERVAL_S = 0.02

#: Share of the time that may be spent on looking, and the longest pause that makes of it.
_WATCHING_SHARE = 0.05
_LONGEST_PAUSE_S = 0.25

#: Longest an answer to the honest client is waited for; a slower one counts as this.
CANARY_PATIENCE_S = 5.0


class Canary(Protocol):
    """An honest client whose service is measured meanwhile, every `interval_s` seconds."""

    interval_s: float

    async def measure(self, within: float) -> float:
        """Return how long one round of service took, in seconds; NotServedError if it failed.

        Called again while earlier rounds are still under way.
        """


class Watched(msgspec.Struct):
    """What was seen. Memory and descriptors are None where the processes cannot be watched.

    Both are sums over the service's process tree. `latencies_s` count from when a request of the
    honest client was due, `service_s` from when it was sent, which is later where the audit itself
    was late.
    """

    rss_before_bytes: int | None = None
    rss_peak_bytes: int | None = None
    rss_after_bytes: int | None = None
    descriptors_before: int | None = None
    descriptors_peak: int | None = None
    descriptors_after: int | None = None
    cpu_s: float | None = None
    duration_s: float = 0.0
    latencies_s: list[float] = []
    service_s: list[float] = []
    recovery_s: float | None = None
    canary_lost: str = ""

    def percentile_s(self, share: float) -> float | None:
        """Return the latency below which this share (0 to 1) of the honest answers stayed."""
        return _percentile(self.latencies_s, share)

    def service_percentile_s(self, share: float) -> float | None:
        """Return the same without what the audit itself was late in sending."""
        return _percentile(self.service_s, share)

    @property
    def rss_growth_bytes(self) -> int | None:
        """How far memory rose above where it began."""
        if self.rss_peak_bytes is None or self.rss_before_bytes is None:
            return None
        return self.rss_peak_bytes - self.rss_before_bytes

    def figures(self, prefix: str) -> dict[str, float]:
        """Return what was measured, units in the names, for the evidence."""
        p99, service_p99 = self.percentile_s(0.99), self.service_percentile_s(0.99)
        found = {
            f"{prefix}_rss_peak_bytes": self.rss_peak_bytes,
            f"{prefix}_rss_growth_bytes": self.rss_growth_bytes,
            f"{prefix}_descriptors_peak": self.descriptors_peak,
            f"{prefix}_target_cpu_s": self.cpu_s,
            f"{prefix}_honest_p99_ms": None if p99 is None else p99 * 1000,
            f"{prefix}_honest_service_p99_ms": None if service_p99 is None else service_p99 * 1000,
            f"{prefix}_honest_samples": len(self.latencies_s) or None,
            f"{prefix}_recovery_s": self.recovery_s,
        }
        return {name: float(value) for name, value in found.items() if value is not None}


@contextlib.asynccontextmanager
async def watching(
    tree: ProcessTree | None, canary: Canary | None, clock: Callable[[], float]
) -> AsyncIterator[Watched]:
    """Watch while the block runs: the processes, and the answers to an honest client.

    On the way out, `recovery_s` is how long the honest client then waited for an answer.
    """
    seen = Watched()
    started = clock()
    before = None if tree is None else tree.read()
    if before is not None:
        seen.rss_before_bytes = seen.rss_peak_bytes = before.rss_bytes
        seen.descriptors_before = seen.descriptors_peak = before.descriptors
    tasks = []
    if tree is not None:
        tasks.append(asyncio.create_task(_watch_processes(tree, seen, clock)))
    if canary is not None:
        tasks.append(asyncio.create_task(_ask_on_schedule(canary, seen, clock)))
    try:
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        seen.duration_s = clock() - started
        after = None if tree is None else tree.read()
        if after is not None:
            _note_peak(seen, after)
            seen.rss_after_bytes, seen.descriptors_after = after.rss_bytes, after.descriptors
            seen.cpu_s = after.cpu_s - before.cpu_s if before is not None else None
        if canary is not None and not seen.canary_lost:
            try:
                seen.recovery_s = await canary.measure(CANARY_PATIENCE_S)
            except NotServedError as failure:
                seen.canary_lost = str(failure)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def _watch_processes(tree: ProcessTree, seen: Watched, clock: Callable[[], float]) -> None:
    """Read in this thread: another one that is interrupted on its way would hold up this one."""
    started = clock()
    while (usage := tree.read()) is not None:
        _note_peak(seen, usage)
        pause_s = min(_LONGEST_PAUSE_S, (clock() - started) / _WATCHING_SHARE)
        await asyncio.sleep(max(INTERVAL_S, pause_s))
        started = clock()


def _note_peak(seen: Watched, usage: Usage) -> None:
    seen.rss_peak_bytes = max(seen.rss_peak_bytes or 0, usage.rss_bytes)
    seen.descriptors_peak = max(seen.descriptors_peak or 0, usage.descriptors)


async def _ask_on_schedule(canary: Canary, seen: Watched, clock: Callable[[], float]) -> None:
    """Ask whenever it is due until told to stop, or not served; note how long each answer takes.

    One that is still waited for at the end took at least so long, and so did one that is overdue.
    """
    started, lost = clock(), asyncio.Event()
    dues = (started + number * canary.interval_s for number in itertools.count())
    due = next(dues)
    async with asyncio.TaskGroup() as rounds:
        try:
            while not lost.is_set():
                await asyncio.sleep(max(0.0, due - clock()))
                rounds.create_task(_ask(canary, due, seen, clock, lost))
                due = next(dues)
        except asyncio.CancelledError:
            while due < (now := clock()):
                seen.latencies_s.append(now - due)
                due = next(dues)
            raise


async def _ask(
    canary: Canary, due: float, seen: Watched, clock: Callable[[], float], lost: asyncio.Event
) -> None:
    sent = clock()

    def note(took: float) -> None:
        seen.service_s.append(took)
        seen.latencies_s.append(sent - due + took)

    try:
        note(await canary.measure(CANARY_PATIENCE_S))
    except asyncio.CancelledError:
        note(clock() - sent)
        raise
    except NotServedError as error:
        note(CANARY_PATIENCE_S)
        seen.canary_lost = seen.canary_lost or str(error)
        lost.set()


def _percentile(values: list[float], share: float) -> float | None:
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
