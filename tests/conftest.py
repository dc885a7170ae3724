"""Fixtures every folder of tests may use."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.running import RunningMonitor


@pytest.fixture
def start_monitor(tmp_path: Path) -> Iterator[Callable[..., RunningMonitor]]:
    """Start monitors with the given settings; they are stopped after the test."""
    with ExitStack() as running:

        def start(name: str = "state", **flags: object) -> RunningMonitor:
            return running.enter_context(RunningMonitor(tmp_path / name, **flags))

        yield start
