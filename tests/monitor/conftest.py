"""Monitors on either event loop, one of them shared by the tests of a module; a journal."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from monitor.journal import Journal
from tests.running import RunningMonitor

from .journals import open_journal


@pytest.fixture(params=["uvloop", "asyncio"])
def start_monitor(
    request: pytest.FixtureRequest, start_monitor: Callable[..., RunningMonitor]
) -> Callable[..., RunningMonitor]:
    """Start monitors as everywhere; every test that does so is run on each event loop."""
    return partial(start_monitor, event_loop=request.param)


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def shared(request, tmp_path_factory):
    """One monitor a loop for tests that leave nothing behind but used-up requests."""
    state = tmp_path_factory.mktemp("shared")
    flags = {"event_loop": request.param, "requests_per_window": 1000, "close_timeout_s": 0.3}
    with RunningMonitor(state, **flags) as monitor:
        yield monitor


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    opened = open_journal(path)
    yield opened
    opened.close()
