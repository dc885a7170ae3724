"""Readings of the audited services and of the audit itself, for the run folder. Judges nothing."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import psutil

from monitor.contract.evidence import Scalar

#: Between two readings of a process tree: walking one costs a few milliseconds.
INTERVAL_S = 1.0

#: How long the event loop is asked to sleep when it is seen whether it stands still.
_LOOK_S = 0.05

#: What one process uses: resident bytes, processor seconds, descriptors, threads.
_Reading = tuple[int, float, int, int]


class Resources:
    """Collects rows of `resources.csv`.

    `repeat` numbers the servers in the order they were started, from 1; the audit's own process,
    role `generator`, is 0. A service that runs where it cannot be watched leaves no rows.
    `stalled_s` is the longest the audit itself stood still: it answers no ping meanwhile, and what
    it timed then says as much of the machine as of the service.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[Scalar, ...]] = []
        self.stalled_s = 0.0
        self._started = time.monotonic()
        self._servers = 0

    @contextlib.asynccontextmanager
    async def of_the_audit(self) -> AsyncIterator[None]:
        """Read this process, and how late its event loop is, while the block runs."""
        async with (
            _beside(self._note_stalls()),
            self._reading(0, "generator", os.getpid(), tree=False),
        ):
            yield

    @contextlib.asynccontextmanager
    async def of_a_server(self, pid: int | None) -> AsyncIterator[None]:
        """Read the tree below a server's process while the block runs."""
        self._servers += 1
        async with self._reading(self._servers, "target", pid, tree=True):
            yield

    @contextlib.asynccontextmanager
    async def _reading(
        self, number: int, role: str, pid: int | None, *, tree: bool
    ) -> AsyncIterator[None]:
        if pid is None:
            yield
            return
        async with _beside(self._read_on(number, role, pid, tree=tree)):
            yield

    async def _note_stalls(self) -> None:
        """Sleep again and again; what a sleep takes too long, the loop stood still."""
        while True:
            due_s = time.monotonic() + _LOOK_S
            await asyncio.sleep(_LOOK_S)
            self.stalled_s = max(self.stalled_s, time.monotonic() - due_s)

    async def _read_on(self, number: int, role: str, pid: int, *, tree: bool) -> None:
        """Add a row every interval until the process is gone."""
        used_s: dict[int, float] = {}
        last_s: float | None = None
        while members := await asyncio.to_thread(_read, pid, tree=tree):
            now_s = time.monotonic()
            fresh_s = sum(one[1] - used_s.get(who, one[1]) for who, one in members.items())
            used_s = {who: one[1] for who, one in members.items()}
            self.rows.append(
                (
                    number,
                    round(now_s - self._started, 3),
                    role,
                    len(members),
                    sum(one[0] for one in members.values()),
                    None,
                    None if last_s is None else round(100 * fresh_s / (now_s - last_s), 1),
                    sum(one[2] for one in members.values()),
                    sum(one[3] for one in members.values()),
                )
            )
            last_s = now_s
            await asyncio.sleep(INTERVAL_S)


@contextlib.asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do the work while the block runs; its failure is raised at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.result()


def _read(pid: int, *, tree: bool) -> dict[int, _Reading]:
    """Return what the process and all below it use; empty when it is gone."""
    try:
        root = psutil.Process(pid)
        members = [root, *(root.children(recursive=True) if tree else ())]
    except psutil.Error:
        return {}
    found = {}
    for member in members:
        try:
            with member.oneshot():
                times = member.cpu_times()
                found[member.pid] = (
                    member.memory_info().rss,
                    times.user + times.system,
                    member.num_fds(),
                    member.num_threads(),
                )
        except psutil.Error:
            continue  # it ended between two readings
    return found
