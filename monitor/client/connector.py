"""Keeps a program connected: one link after the other, waiting between attempts.

The delays are `Backoff`'s; a longer wait the monitor asks for is obeyed. Errors that another
attempt cannot mend are raised.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass

from monitor.client.backoff import Backoff
from monitor.client.errors import LinkLostError, UnreachableError
from monitor.client.link import Endpoint, Link, open_link

#: An authentication is stable, and the next delay the first one again, once a link lasted this
#: long: a monitor that accepts and drops its clients in a circle is met with growing delays.
STABLE_AFTER_S = 10.0

_log = logging.getLogger("monitor.client")


@dataclass(frozen=True, slots=True)
class Patience:
    """How many seconds without a connection are borne, at first and later. None: for ever.

    0.0 means one attempt.
    """

    first_s: float | None = None
    again_s: float | None = None


FOR_EVER = Patience()


def report_outage(lost: LinkLostError) -> None:
    """Log the beginning of an outage, once."""
    _log.warning("%s. Going on without it; connecting again in the background.", lost)


class Connector:
    """Yields authenticated links, each after the one before has ended.

    `attempted` is set once the first attempt has succeeded or failed.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        patience: Patience = FOR_EVER,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
        on_outage: Callable[[LinkLostError], None] = report_outage,
    ) -> None:
        # Jitter needs spread, not secrecy.
        self._backoff = backoff or Backoff(random.random)
        self._endpoint = endpoint
        self._patience = patience
        self._clock = clock
        self._on_outage = on_outage
        self._outage_reported = False
        self._cut_short = asyncio.Event()
        self._finishing = False
        self.attempted = asyncio.Event()
        self.links_opened = 0

    def finish_soon(self) -> None:
        """Try at once instead of waiting further; if there never was a link, only once more.

        A wait the monitor asked for is not cut short.
        """
        self._finishing = True
        self._backoff.reset()
        self._cut_short.set()

    async def links(self) -> AsyncGenerator[Link]:
        """Yield links; the consumer ends its use of one on `LinkLostError` and asks for the next.

        Raises:
            UnreachableError: patience ran out.
            UnauthorizedError, ForbiddenError, ProtocolError: another attempt is useless.
        """
        alone_since = self._clock()
        while True:
            lost: LinkLostError | None
            try:
                link = await open_link(self._endpoint)
            except LinkLostError as error:
                lost = error
            else:
                self.links_opened += 1
                self.attempted.set()
                self._outage_reported = False
                opened_at = self._clock()
                try:
                    yield link
                finally:
                    await link.close()
                alone_since = self._clock()
                if alone_since - opened_at >= STABLE_AFTER_S:
                    self._backoff.reset()
                lost = link.lost
            await self._wait(lost or LinkLostError("the link was given up"), alone_since)

    async def _wait(self, lost: LinkLostError, alone_since: float) -> None:
        self.attempted.set()
        if not self._outage_reported:
            self._outage_reported = True
            self._on_outage(lost)
        if self._finishing and not self.links_opened:
            raise UnreachableError(str(lost))
        patience_s = self._patience.again_s if self.links_opened else self._patience.first_s
        delay_s = max(self._backoff.next(), lost.retry_after_s)
        if patience_s is not None:
            left_s = alone_since + patience_s - self._clock()
            if left_s <= lost.retry_after_s:
                raise UnreachableError(str(lost))
            delay_s = min(delay_s, left_s)
        await asyncio.sleep(lost.retry_after_s)
        with suppress(TimeoutError):  # nobody cut it short: the whole delay has passed
            async with asyncio.timeout(delay_s - lost.retry_after_s):
                await self._cut_short.wait()
        self._cut_short.clear()
