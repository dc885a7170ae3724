"""A monitor that several tests of a module may share."""

import pytest

from tests.running import RunningMonitor


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def shared(request, tmp_path_factory):
    """One monitor a loop for tests that leave nothing behind but used-up requests."""
    state = tmp_path_factory.mktemp("shared")
    flags = {"event_loop": request.param, "requests_per_window": 1000, "close_timeout_s": 0.3}
    with RunningMonitor(state, **flags) as monitor:
        yield monitor
