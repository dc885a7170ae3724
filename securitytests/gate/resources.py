"""Readings of the audited services and of the audit itself, for the run folder. Judges nothing."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator

from monitor.contract.tables import Scalar
from securitytests.gate.stalls import Stalls, beside
from securitytests.processes import ProcessTree

#: Between two readings.
INTERVAL_S = 1.0


class Resources:
    """Collects rows of `resources.csv`.

    `repeat` numbers the servers in the order they were started, from 1; the audit's own process,
    role `generator`, is 0. A service that runs where it cannot be watched leaves no rows.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[Scalar, ...]] = []
        self._stalls = Stalls()
        self._started = time.monotonic()
        self._servers = 0

    @property
    def stalled_s(self) -> float:
        """The longest the audit itself stood still."""
        return self._stalls.longest_s

    @contextlib.asynccontextmanager
    async def of_the_audit(self) -> AsyncIterator[None]:
        """Read this process, and how late its event loop is, while the block runs."""
        own = ProcessTree(os.getpid, below=False)
        async with (
            self._stalls.watched(),
            beside(self._read_on(0, "generator", own)),
        ):
            yield

    @contextlib.asynccontextmanager
    async def of_a_server(self, processes: ProcessTree | None) -> AsyncIterator[None]:
        """Read a server's processes while the block runs."""
        self._servers += 1
        if processes is None:
            yield
            return
        async with beside(self._read_on(self._servers, "target", processes)):
            yield

    async def _read_on(self, number: int, role: str, processes: ProcessTree) -> None:
        """Add a row every interval until the first process is gone."""
        cpu_s, last_s = 0.0, None
        while usage := processes.read():
            now_s = time.monotonic()
            self.rows.append(
                (
                    number,
                    round(now_s - self._started, 3),
                    role,
                    usage.processes,
                    usage.rss_bytes,
                    None,
                    None
                    if last_s is None
                    else round(100 * (usage.cpu_s - cpu_s) / (now_s - last_s), 1),
                    usage.descriptors,
                    usage.threads,
                )
            )
            cpu_s, last_s = usage.cpu_s, now_s
            await asyncio.sleep(INTERVAL_S)
