"""Follows a monitor until stopped: shows each event, and records it where that is wanted."""

import asyncio
import os
import signal
import sys
import time
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console

from monitor.client import (
    AsyncSubscriber,
    Event,
    Gap,
    LinkLostError,
    Patience,
    Selection,
    Subscribed,
    UnauthorizedError,
)
from monitor.client.link import Endpoint
from scripts.liveview import LiveView
from scripts.trace import TraceWriter


@dataclass(frozen=True, slots=True)
class Following:
    """What to follow, from where, how patiently; where to record it, and as what."""

    endpoint: Endpoint
    selection: Selection
    since: int | None
    patience: Patience
    record: Path | None
    source: str


class View(Protocol):
    """Shows events to a person or a program."""

    def show(self, event: Event) -> None:
        """Show one event."""

    def tell(self, text: str) -> None:
        """Say something that is no event."""

    def connected(self, text: str, expected: int) -> None:
        """Say from where events are followed; `expected` that were missed come first."""

    def lost(self, why: str, patience_s: float | None) -> None:
        """Say that the connection is lost, and for how many seconds another is tried."""

    def missed(self, omitted: int, reason: str) -> None:
        """Say that events were left out."""


class JsonLines:
    """One JSON object an event on stdout, at once; words go to stderr."""

    def show(self, event: Event) -> None:
        """Print one event."""
        sys.stdout.write(event.to_json().decode() + "\n")
        sys.stdout.flush()

    def tell(self, text: str) -> None:
        """Print words on stderr."""
        print(f"wsproof tail: {text}", file=sys.stderr, flush=True)

    def connected(self, text: str, expected: int) -> None:  # noqa: ARG002 - `text` has it
        """Say from where events are followed."""
        self.tell(text)

    def lost(self, why: str, patience_s: float | None) -> None:
        """Say that the connection is lost."""
        self.tell(f"{why}; trying for {patience_s:g} s to go on from there" if patience_s else why)

    def missed(self, omitted: int, reason: str) -> None:
        """Say that events were left out."""
        self.tell(f"{omitted} events were left out: {reason}")


def follow(what: Following) -> None:
    """Follow until SIGINT, SIGTERM, or the reader of stdout is gone.

    Raises:
        UnreachableError: the monitor is not there, or did not come back in time.
        UnauthorizedError, ForbiddenError: the token is not accepted.
        UsageError: the trace cannot be written.
    """
    with ExitStack() as stack:
        view: View = stack.enter_context(LiveView()) if _can_redraw() else JsonLines()
        trace = None
        if what.record is not None:
            trace = stack.enter_context(TraceWriter(what.record, what.source, view.tell))
        try:
            asyncio.run(_follow(what, view, trace))
        except BrokenPipeError:
            # `wsproof tail | head`: nobody reads any more. Python would complain at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except UnauthorizedError as error:
            raise UnauthorizedError(
                f"{error}. A fresh one, where the monitor runs:"
                " wsproof token issue --subject NAME --scope subscribe"
            ) from None


def _can_redraw() -> bool:
    """Tell whether stdout is a terminal that can take back what it shows (TERM is not dumb)."""
    return sys.stdout.isatty() and Console().is_interactive


async def _follow(what: Following, view: View, trace: TraceWriter | None) -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine of asyncio.run has a task
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    try:
        await _take(what, view, trace)
    except asyncio.CancelledError:
        if not stopped:
            raise


async def _take(what: Following, view: View, trace: TraceWriter | None) -> None:
    def outage(lost: LinkLostError) -> None:
        if subscriber.position is not None and what.patience.again_s != 0:
            view.lost(str(lost), what.patience.again_s)

    subscriber = AsyncSubscriber(
        what.endpoint.url,
        what.endpoint.token,
        selection=what.selection,
        since=what.since,
        patience=what.patience,
        on_outage=outage,
    )
    began = False
    async with aclosing(subscriber.items()) as items:
        async for item in items:
            match item:
                case Event() as event:
                    if trace is not None:
                        trace.add(event, time.monotonic_ns())
                    view.show(event)
                case Gap(omitted=omitted, reason=reason):
                    view.missed(omitted, reason)
                case Subscribed(offset=offset) as fence:
                    words = _began(fence, again=began, since=what.since, offset=offset)
                    view.connected(words, fence.count if fence.recovered else 0)
                    began = True


def _began(fence: Subscribed, *, again: bool, since: int | None, offset: int) -> str:
    if fence.recovered:
        return f"resumed; {fence.count} events were missed and follow"
    if not again and since is not None and since > offset:
        return f"no event has offset {since} yet; following after offset {offset}"
    if again or since is not None:
        return f"what was missed cannot be had any more; going on after offset {offset}"
    return f"following after offset {offset}"
