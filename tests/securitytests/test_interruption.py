"""A service whose start is interrupted is stopped all the same."""

import asyncio
import os
import sys
from pathlib import Path

import psutil
import pytest

from monitor.contract.target import Publish, Start, Target
from securitytests.gate.interruption import run_interruptibly
from securitytests.server import Server

#: Says who it is, and is ready once it is allowed to be.
SERVICE = """
import os, signal, sys
open(sys.argv[1] + "/pid", "w").write(str(os.getpid()))
open(sys.argv[1] + "/go").read()
print('{"url": "ws://127.0.0.1:5/"}', flush=True)
signal.pause()
"""


def service(folder: Path) -> Target:
    start = Start((sys.executable, "-c", SERVICE, str(folder)))
    return Target("a slow service", "ws://127.0.0.1:1/", Publish("{event}"), start=start)


@pytest.mark.slow
async def test_a_service_that_is_still_starting_is_stopped_before_an_interruption_goes_on(tmp_path):
    os.mkfifo(tmp_path / "go")
    entering = asyncio.ensure_future(Server(service(tmp_path)).__aenter__())
    go = await asyncio.to_thread((tmp_path / "go").open, "w")  # opens once the service waits
    pid = int((tmp_path / "pid").read_text())
    entering.cancel()
    go.close()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert not psutil.pid_exists(pid)


def test_sigterm_ends_what_runs_as_ctrl_c_does_once_it_has_cleaned_up():
    done = []

    async def work() -> None:
        try:
            os.kill(os.getpid(), 15)
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            done.append("closed")

    with pytest.raises(KeyboardInterrupt):
        run_interruptibly(work())
    assert done == ["closed"]
