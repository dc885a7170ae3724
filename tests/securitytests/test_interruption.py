"""What is interrupted stops its services all the same, and leaves what it found."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import psutil
import pytest

from monitor.contract.evidence import load_run
from monitor.contract.target import Publish, Start, Target
from monitor.contract.verdicts import ExitCode, RunVerdict
from reports.sources import is_from
from securitytests.gate.interruption import run_interruptibly
from securitytests.server import Server

ROOT = Path(__file__).parents[2]

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


@pytest.mark.slow
async def test_a_service_is_stopped_though_the_interruption_comes_before_a_thread_is_free(tmp_path):
    (tmp_path / "go").touch()
    server = Server(service(tmp_path))
    await server.__aenter__()
    pid = int((tmp_path / "pid").read_text())
    free = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        asyncio.get_running_loop().set_default_executor(threads)
        threads.submit(free.wait, 10)
        leaving = asyncio.ensure_future(server.__aexit__(None, None, None))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        free.set()
        with pytest.raises(asyncio.CancelledError):
            await leaving
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


#: Trials of the gate of which one is soon done and another is not.
TRIALS = {
    "mutants": (["--mutants", "--only", "any_origin,allowance_trickles_back"], "2 flaws"),
    "twins": (["--twins", "tests/services", "--repeats", "3", "--only", "HS5,ID1"], "3 runs"),
}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
@pytest.mark.parametrize("scenario", TRIALS)
def test_a_trial_of_the_gate_that_is_interrupted_leaves_what_it_found_as_no_proof(
    tmp_path, scenario, number
):
    options, of = TRIALS[scenario]
    command = [sys.executable, "-m", "scripts.wsproof", "audit", *options]
    with subprocess.Popen(
        [*command, "--runs", str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr.readline().startswith("[1/")
        while not (services := psutil.Process(running.pid).children(recursive=True)):
            assert running.poll() is None
        running.send_signal(number)
        said = running.stderr.read()
    assert running.returncode == ExitCode.NO_VERDICT, said
    assert f"interrupted after 1 of {of}: it proves nothing" in said
    assert said.endswith("wsproof: interrupted\n")
    assert psutil.wait_procs(services, timeout=10)[1] == []
    (folder,) = tmp_path.iterdir()
    run = load_run(folder)
    assert (run.record.scenario, run.record.verdict) == (scenario, RunVerdict.INVALID)
    assert f"interrupted after 1 of {of}" in run.record.reasons
    assert len(list(run.lines(f"{scenario}.jsonl"))) == 1
    whole = msgspec.structs.replace(run.record, parameters={})
    assert not is_from(scenario, whole)
    assert is_from(scenario, msgspec.structs.replace(whole, verdict=RunVerdict.VALID))
