"""A real monitor for each test, and a bound on how long a test waits for it."""

import signal
from collections.abc import Callable, Iterator

import pytest

from tests.running import RunningMonitor

#: No test waits this long for an event that does not come; it fails where it waits.
DEADLINE_S = 180


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    def give_up(number: int, frame: object) -> None:
        raise TimeoutError(f"still waiting after {DEADLINE_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(DEADLINE_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def monitor(start_monitor: Callable[..., RunningMonitor]) -> RunningMonitor:
    """One monitor; it keeps its port and its state folder over restarts."""
    return start_monitor()
