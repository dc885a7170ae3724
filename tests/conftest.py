"""Fixtures every folder of tests may use."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.running import RunningMonitor

# A machine that is busy meanwhile makes an example slow, not wrong.
settings.register_profile(
    "wsproof", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("wsproof")

# What a shell without job control puts into the background, such as a build, begins with SIGINT
# ignored, and so would every command a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def start_monitor(tmp_path: Path) -> Iterator[Callable[..., RunningMonitor]]:
    """Start monitors with the given settings; they are stopped after the test."""
    with ExitStack() as running:

        def start(name: str = "state", **flags: object) -> RunningMonitor:
            return running.enter_context(RunningMonitor(tmp_path / name, **flags))

        yield start
