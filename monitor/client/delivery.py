"""Carries the outbox to the monitor: batches, acknowledgements, refusals, outages.

One `publish` is under way at a time. That keeps the order, and lets a batch hold whatever has
accumulated meanwhile. Every event has an id of its own, so sending a batch again after a lost
connection stores nothing twice.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import aclosing

from monitor.client.connector import Connector
from monitor.client.errors import (
    ClientError,
    ForbiddenError,
    LinkLostError,
    ProtocolError,
    UnauthorizedError,
    UnreachableError,
)
from monitor.client.link import Link
from monitor.client.messages import Ack, CloseCode, ErrorCode, Refusal, publish
from monitor.client.outbox import Entry, Outbox

#: Events and bytes of one `publish`: far below what a monitor accepts in one message.
MAX_BATCH_EVENTS = 500
MAX_BATCH_BYTES = 48_000
#: Wait before a refused batch is sent again when the monitor does not say how long.
_RETRY_S = 1.0

_log = logging.getLogger("monitor.client")


class Delivery:
    """Sends an outbox through a connector until told to finish. `error` is what ended it early."""

    def __init__(self, outbox: Outbox, connector: Connector) -> None:
        self._outbox = outbox
        self._connector = connector
        self._awake = asyncio.Event()
        self._settled = asyncio.Event()
        self._finishing = False
        self._largest_batch = MAX_BATCH_EVENTS  # less where the monitor's quota is below it
        self._batch_limit = self._largest_batch
        self.error: ClientError | None = None

    def wake(self) -> None:
        """Say that the outbox has something again. To be called on the event loop's thread."""
        self._awake.set()

    async def run(self) -> None:
        """Deliver until `finish` was called and the outbox is empty, or no attempt can succeed."""
        try:
            async with aclosing(self._connector.links()) as links:
                async for link in links:
                    try:
                        await self._deliver(link)
                    except LinkLostError as lost:
                        self._shrink_after(lost)
                    else:
                        return
        except ClientError as error:
            self.error = error
            if not isinstance(error, UnreachableError):  # that outage has been told
                _log.error("%s. Events are no longer sent.", error)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not end a pipeline
            self.error = ClientError(f"events are no longer sent: internal error: {error!r}")
            _log.exception("Events are no longer sent")
        finally:
            self._connector.attempted.set()
            self._settled.set()

    async def connected(self) -> bool:
        """Wait for the outcome of the first attempt to connect; tell whether there is a link."""
        await self._connector.attempted.wait()
        return self._connector.links_opened > 0 and self.error is None

    async def flush(self) -> None:
        """Wait until the outbox is empty, or nothing will empty it any more."""
        while len(self._outbox) and self.error is None:
            self._settled.clear()
            await self._settled.wait()

    def finish(self) -> None:
        """Let `run` end once the outbox is empty; do not wait long for a monitor never seen."""
        self._finishing = True
        self._connector.finish_soon()
        self._awake.set()

    async def _deliver(self, link: Link) -> None:
        while True:
            self._awake.clear()
            batch = self._outbox.peek(self._batch_limit, MAX_BATCH_BYTES)
            if batch:
                await self._send(link, batch)
            elif self._finishing:
                return
            else:
                await self._idle(link)

    async def _send(self, link: Link, batch: Sequence[Entry]) -> None:
        ref = link.reference()
        await link.send(publish((entry.payload for entry in batch), ref))
        match await link.answer(ref):
            case Ack(offsets=offsets) if len(offsets) == len(batch):
                self._outbox.acknowledge(len(batch))
                self._batch_limit = self._largest_batch
                self._settled.set()
            case Refusal() as refusal:
                await self._refused(link, refusal, batch)
            case other:
                raise ProtocolError(
                    f"monitor {link.endpoint.url}: expected {len(batch)} offsets in answer to a"
                    f" publish, got {other}"
                )

    async def _refused(self, link: Link, refusal: Refusal, batch: Sequence[Entry]) -> None:
        said = f"monitor {link.endpoint.url}: {refusal.message}"
        if refusal.retryable:
            await asyncio.sleep(refusal.retry_after or _RETRY_S)
        elif refusal.code == ErrorCode.FORBIDDEN:
            raise ForbiddenError(f"{said}; publishing needs a token with the `publish` scope")
        elif refusal.code == ErrorCode.UNAUTHORIZED:
            raise UnauthorizedError(said)
        elif refusal.index is not None and refusal.index < len(batch):
            self._refuse(refusal.index, refusal.message)
        else:
            self._shrink(batch, refusal.message)
            if refusal.code == ErrorCode.RATE_LIMITED:
                self._largest_batch = self._batch_limit

    def _shrink_after(self, lost: LinkLostError) -> None:
        if lost.close_code == CloseCode.TOO_BIG:
            batch = self._outbox.peek(self._batch_limit, MAX_BATCH_BYTES)
            self._shrink(batch, "the message was too big for the monitor")

    def _shrink(self, batch: Sequence[Entry], reason: str) -> None:
        """Halve the batches until the one event that is at fault stands alone, and is refused."""
        if len(batch) > 1:
            self._batch_limit = len(batch) // 2
        else:
            self._refuse(0, reason)

    def _refuse(self, index: int, reason: str) -> None:
        entry = self._outbox.refuse(index)
        self._settled.set()
        _log.warning("event %s was refused by the monitor: %s", entry.id, reason)

    async def _idle(self, link: Link) -> None:
        """Wait for something to send; notice the end of the link; be active in time."""
        awake = asyncio.ensure_future(self._awake.wait())
        heard = asyncio.ensure_future(link.receive())
        try:
            done, _ = await asyncio.wait(
                {awake, heard},
                timeout=link.quiet_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if heard in done:
                heard.result()
            elif not done:
                await link.ping()
        finally:
            awake.cancel()
            heard.cancel()
            # Only one may receive at a time: what follows must find this one ended.
            await asyncio.gather(awake, heard, return_exceptions=True)
