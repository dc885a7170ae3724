"""One running service under audit: started from its profile or reached where it runs."""

import asyncio
import ssl
from collections.abc import Callable, Collection
from functools import partial
from types import TracebackType
from typing import Self

from monitor.contract.launch import Launch
from monitor.contract.target import Target
from monitor.contract.verdicts import UsageError
from securitytests.judging import CannotTellError
from securitytests.probe.addresses import Addresses
from securitytests.probe.stream import Endpoint, endpoint_of
from securitytests.processes import ProcessTree
from securitytests.tokens import Tokens


class Budget:
    """How many connections an audit may make to a service, in all. None: no bound."""

    def __init__(self, connections: int | None = None) -> None:
        self._left = connections

    def spend(self) -> None:
        """Take one connection.

        Raises:
            CannotTellError: the budget is used up.
        """
        if self._left is None:
            return
        if self._left == 0:
            raise CannotTellError(
                "the budget of connections is used up; raise --budget-connections"
            )
        self._left -= 1


class Server:
    """Asynchronous context manager. `target` carries the URL the service really has.

    `processes` are the service's, None where they cannot be watched.
    """

    def __init__(
        self,
        target: Target,
        allowed_hosts: Collection[str] = (),
        *,
        budget: Budget | None = None,
    ) -> None:
        self.budget = budget or Budget()
        self.launch = Launch(target, allowed_hosts)
        self.target = target
        self.processes: ProcessTree | None = None
        self.tokens: Tokens
        self.endpoint: Endpoint
        self.addresses: Addresses
        self._allowed = allowed_hosts
        self._entered = False

    async def __aenter__(self) -> Self:
        try:
            await _to_its_end(self._enter)
        except asyncio.CancelledError:
            if self._entered:
                await self._leave()
            raise
        try:
            self.target = self.launch.target
            self.endpoint = endpoint_of(self.target.url, self._allowed, tls=self.trust())
        except BaseException:
            await self._leave()
            raise
        if self.launch.pid is not None:
            self.processes = ProcessTree(lambda: self.launch.pid)
        self.tokens = Tokens(self.launch)
        self.addresses = Addresses(self.endpoint.address)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._leave()

    def _enter(self) -> None:
        self.launch.__enter__()
        self._entered = True

    async def _leave(self) -> None:
        await _to_its_end(partial(self.launch.__exit__, None, None, None))

    @property
    def alive(self) -> bool:
        """Whether the process still runs; True where it is not ours to know."""
        return self.launch.alive()

    def rss_peak_bytes(self) -> int | None:
        """Return the most memory the service was seen to have; None where it cannot be told."""
        return None if self.processes is None else self.processes.rss_peak_bytes()

    def trust(self) -> ssl.SSLContext | None:
        """Return a fresh context that trusts the profile's own authority, or None: the system's.

        Raises:
            UsageError: the authority's certificate cannot be read.
        """
        authority = self.target.tls.authority
        if authority is None:
            return None
        path = self.target.path.parent / self.launch.filled((authority,))[0]
        try:
            return ssl.create_default_context(cafile=str(path))
        except OSError as error:
            raise UsageError(
                f"target profile {self.target.path}: key `tls.authority`: expected a file of PEM"
                f" certificates, got {path}: {error.strerror or error}; name the one that signed"
                " the service's own, or leave it out"
            ) from error


async def _to_its_end(function: Callable[[], object]) -> None:
    """Run a function in a thread; who is cancelled meanwhile is so once it is done.

    Whatever a thread starts or stops, it must not be left half done, or not begun.
    """
    running = asyncio.get_running_loop().run_in_executor(None, function)
    cancelled = False
    while not running.done():
        try:
            await asyncio.wait({running})
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        running.exception()  # it is told of no more
        raise asyncio.CancelledError
    running.result()
