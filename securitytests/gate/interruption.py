"""Lets an audit be ended from outside: its services are stopped before anything else happens."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_interruptibly(main: Coroutine[Any, Any, T]) -> T:
    """Run as `asyncio.run` does; SIGTERM does what Ctrl-C does.

    Either cancels `main`, which leaves its contexts, and with them its services, in order.

    Raises:
        KeyboardInterrupt: it was interrupted, and everything is closed.
    """
    try:
        return asyncio.run(_until_told(main))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _until_told(main: Coroutine[Any, Any, T]) -> T:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None  # noqa: S101 - a coroutine that runs is run by a task
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await main
    finally:
        loop.remove_signal_handler(signal.SIGTERM)
