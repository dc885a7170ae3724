"""Publishers for people's own pipelines: report and go on; delivery happens behind it.

Neither blocks on the monitor nor raises because of it. While it is away, events wait in a
bounded outbox; when it is back they are delivered once each, in order.
"""

import asyncio
import atexit
import logging
import os
from abc import abstractmethod
from types import TracebackType
from typing import Self

from monitor.client.background import Background
from monitor.client.connector import Connector
from monitor.client.delivery import Delivery
from monitor.client.errors import ClientError
from monitor.client.link import DEFAULT_URL, Endpoint, Token
from monitor.client.outbox import MAX_EVENTS, Entry, Outbox, Tally
from monitor.client.reporting import Reporter

#: How long leaving a publisher's `with` block waits for the last acknowledgements.
CLOSE_TIMEOUT_S = 5.0

#: How long a program that ends without closing its publisher is held up for what waits.
EXIT_TIMEOUT_S = 2.0

#: Why a closed publisher delivers nothing.
CLOSED = "the publisher is closed"

_log = logging.getLogger("monitor.client")


class _Publisher(Reporter):
    """What both publishers share: the outbox, its bounds, and what became of its events."""

    def __init__(
        self,
        url: str = DEFAULT_URL,
        token: Token = None,
        *,
        run: str | None = None,
        max_waiting: int = MAX_EVENTS,
    ) -> None:
        super().__init__(Outbox(max_events=max_waiting), run)
        self._connector = Connector(Endpoint(url, token))
        self._delivery = Delivery(self._outbox, self._connector)
        self._process = os.getpid()
        self._entered = False
        #: Why nothing is delivered any more; empty while it is.
        self._ended = ""
        self._drop_reported = False

    @property
    def tally(self) -> Tally:
        """What became of the events reported so far."""
        return self._outbox.tally()

    @property
    def error(self) -> ClientError | None:
        """Why events are no longer sent, if they are not: a token the monitor refuses."""
        return self._delivery.error

    def _put(self, entry: Entry) -> None:
        self._notice_fork()
        if self._ended:
            self._outbox.drop()
            self._warn_of_drops(f"{self._ended}: what is reported now is dropped")
            return
        added = self._outbox.put(entry)
        if not added.complete:
            self._warn_of_drops(
                f"{len(self._outbox)} events wait for the monitor and there is no room for more:"
                " progress reports are dropped first; close() reports how many"
            )
        if not self._entered and added.alone:
            _log.warning("events are sent from within the publisher's `with` block; they wait")
        if added.alone:
            self._wake()

    def _notice_fork(self) -> None:
        """In a forked child, let go: the connection, its thread and what waits are the parent's."""
        if os.getpid() == self._process:
            return
        self._process = os.getpid()
        self._outbox = Outbox()  # the parent's may have been locked when it forked
        self._drop_reported = False
        self._ended = "a publisher does not survive a fork; the child needs one of its own"

    def _warn_of_drops(self, why: str) -> None:
        if not self._drop_reported:
            self._drop_reported = True
            _log.warning("%s", why)

    @abstractmethod
    def _wake(self) -> None:
        """Tell the delivery, which may be on another thread, that there is something to send."""

    def _report_undelivered(self) -> Tally:
        tally = self.tally
        if self._connector.links_opened and (tally.waiting or tally.dropped):
            _log.warning("not everything reached the monitor: %s", tally)
        return tally


class AsyncPublisher(_Publisher):
    """Reports a pipeline's events from asynchronous code.

    ```python
    async with AsyncPublisher("ws://localhost:4001", token, run="2025-01-01") as publisher:
        with publisher.phase("writer") as phase:
            phase.progress(45, "chapter 3")
        await publisher.flush()
    ```

    Args:
        url: where the monitor listens.
        token: a token with the `publish` scope, or a function that returns a fresh one.
        run: names this run of the pipeline in every event.
        max_waiting: events kept while the monitor is away.

    Raises:
        UsageError: the URL is not one of a monitor.
    """

    _task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._entered = True
        self._task = asyncio.create_task(self._delivery.run(), name="wsproof-publisher")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def wait_connected(self, timeout_s: float) -> bool:
        """Wait for the first connection, so that events are sent as they happen.

        Returns False if the first attempt failed or took longer; nothing else changes then.
        """
        waiting = asyncio.ensure_future(self._delivery.connected())
        await asyncio.wait({waiting}, timeout=timeout_s)
        waiting.cancel()
        return waiting.done() and waiting.result()

    async def flush(self, timeout_s: float | None = None) -> Tally:
        """Wait until everything reported so far is acknowledged, at most `timeout_s` seconds."""
        waiting = asyncio.ensure_future(self._delivery.flush())
        await asyncio.wait({waiting}, timeout=timeout_s)
        waiting.cancel()
        return self.tally

    async def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> Tally:
        """Deliver what waits, for at most `timeout_s` seconds, and end. Idempotent."""
        self._ended = self._ended or CLOSED
        if self._task is None:
            return self.tally
        self._delivery.finish()
        await asyncio.wait({self._task}, timeout=timeout_s)
        self._task.cancel()
        await asyncio.wait({self._task})
        return self._report_undelivered()

    def _wake(self) -> None:
        self._delivery.wake()


class Publisher(_Publisher):
    """Reports a pipeline's events from ordinary code; the network has a thread of its own.

    ```python
    with Publisher("ws://localhost:4001", token, run="2025-01-01") as publisher:
        with publisher.phase("writer") as phase:
            phase.progress(45, "chapter 3")
    ```

    Arguments and errors are those of `AsyncPublisher`. May be used from several threads. A
    program that ends without leaving the block is held up for at most two seconds to deliver
    what waits, if it has been connected by then.
    """

    _background: Background | None = None

    def __enter__(self) -> Self:
        self._entered = True
        self._background = Background("wsproof-publisher").__enter__()
        self._done = self._background.start(self._delivery.run())
        atexit.register(self._close_at_exit)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def wait_connected(self, timeout_s: float) -> bool:
        """Wait for the first connection, so that events are sent as they happen.

        Returns False if the first attempt failed or took longer; nothing else changes then.
        """
        if self._background is None:
            return False
        try:
            return self._background.call(self._delivery.connected(), timeout_s)
        except TimeoutError:
            return False

    def flush(self, timeout_s: float | None = None) -> Tally:
        """Wait until everything reported so far is acknowledged, at most `timeout_s` seconds."""
        self._notice_fork()
        if self._background is not None:
            try:
                self._background.call(self._delivery.flush(), timeout_s)
            except TimeoutError:
                _log.debug("flush: time ran out; the tally says what waits")
        return self.tally

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> Tally:
        """Deliver what waits, for at most `timeout_s` seconds, and end. Idempotent."""
        self._notice_fork()
        background, self._background = self._background, None
        self._ended = self._ended or CLOSED
        if background is None:
            return self.tally
        atexit.unregister(self._close_at_exit)
        background.soon(self._delivery.finish)
        try:
            self._done.result(timeout_s)
        except TimeoutError:
            _log.debug("close: time ran out; the tally says what was not delivered")
        finally:
            background.__exit__(None, None, None)
        return self._report_undelivered()

    def _notice_fork(self) -> None:
        if os.getpid() != self._process:
            self._background = None
        super()._notice_fork()

    def _close_at_exit(self) -> None:
        """Deliver what waits where the program did not leave the `with` block itself.

        Only over a connection there has been: the interpreter resolves no more names by now.
        """
        if self._connector.links_opened:
            self.close(EXIT_TIMEOUT_S)

    def _wake(self) -> None:
        background = self._background
        if background is not None:
            background.soon(self._delivery.wake)
