"""Bare Locust as people start it: exit codes, evidence, nothing left."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.contract.evidence import list_runs
from monitor.contract.verdicts import RunVerdict
from tests.loadtests.commands import CLAIM, Folders, Profile
from tests.loadtests.conftest import KNOWN_SERVER, NULL_SERVER

pytestmark = pytest.mark.slow


def test_locust_by_itself_ends_in_time_and_writes_the_same_evidence(
    profile: Profile, trace: Path, folders: Folders
) -> None:
    locust = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless"]
    options = ["--target", str(profile(NULL_SERVER)), "--runs", str(folders.runs)]
    options += ["--trace", str(trace), "--rate", "500", "--warmup", "0.5"]
    done = subprocess.run(
        [*locust, "-u", "20", "-t", "6s", *options],
        env=folders.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    record = folders.run().record
    # On a machine too busy for the schedule the run is INVALID, and Locust's exit code says so.
    assert done.returncode == (3 if record.verdict is RunVerdict.INVALID else 0), done.stderr
    assert record.verdict is not RunVerdict.VALID
    assert record.metrics["clients_held"].value == 20
    assert record.metrics["deliveries_lost"].value == 0
    assert record.metrics["deliveries_received"].value > 0
    assert "delivery" in done.stdout + done.stderr
    folders.assert_nothing_left()


def test_locust_by_itself_tells_a_target_that_loses_by_its_exit_code(
    profile: Profile, trace: Path, folders: Folders
) -> None:
    locust = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless"]
    claim = CLAIM.replace("5000", "2000000").partition("requires")[0]
    target = profile([*KNOWN_SERVER, "lose=7"], claims=claim)
    options = ["--target", str(target), "--runs", str(folders.runs), "--trace", str(trace)]
    done = subprocess.run(
        [*locust, "-u", "2", "-t", "6s", "--warmup", "0.2", "--rate", "100", *options],
        env=folders.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "TRUE: latency: " in done.stderr
    assert "FALSE: objective: lost = 0" in done.stderr
    assert "TRUE: objective: deaths = 0" in done.stderr
    folders.assert_nothing_left()


def test_locust_by_itself_calls_a_run_that_was_ended_early_interrupted(
    profile: Profile, trace: Path, folders: Folders
) -> None:
    command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless"]
    command += ["--target", str(profile(NULL_SERVER)), "--runs", str(folders.runs)]
    with subprocess.Popen(
        [*command, "-u", "2", "-t", "60s", "--warmup", "0.2", "--trace", str(trace)],
        env=folders.environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        while "All users spawned" not in (line := process.stderr.readline()):
            assert line
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 3, said
    record = folders.run().record
    assert record.verdict is RunVerdict.INVALID
    assert "interrupted before the window was over" in record.reasons
    folders.assert_nothing_left()


def test_locust_by_itself_may_end_while_clients_are_still_connecting(
    profile: Profile, trace: Path, folders: Folders
) -> None:
    locust = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless"]
    options = ["--target", str(profile(NULL_SERVER)), "--runs", str(folders.runs)]
    done = subprocess.run(
        [*locust, "-u", "600", "-r", "50", "-t", "3s", "--trace", str(trace), *options],
        env=folders.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    record = folders.run().record
    assert record.verdict is RunVerdict.INVALID
    assert record.reasons[0].startswith("stopped before every client was connected")
    folders.assert_nothing_left()


DEFECTIVE = """
from loadtests.conductor import Conductor
from loadtests.locustfile import Subscriber

conduct = Conductor.run

def run(conductor):
    conduct(conductor)
    raise ZeroDivisionError("a defect")

Conductor.run = run
"""


def test_locust_by_itself_tells_a_defect_of_ours_by_its_exit_code(
    profile: Profile, trace: Path, folders: Folders, tmp_path: Path
) -> None:
    locustfile = tmp_path / "defective.py"
    locustfile.write_text(DEFECTIVE)
    locust = [sys.executable, "-m", "locust", "-f", str(locustfile), "--headless"]
    options = ["--target", str(profile(NULL_SERVER)), "--runs", str(folders.runs)]
    done = subprocess.run(
        [*locust, "-u", "2", "-t", "2s", "--warmup", "0.2", "--trace", str(trace), *options],
        env=folders.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "ZeroDivisionError: a defect" in done.stderr
    assert done.returncode == 70, done.stderr
    folders.assert_nothing_left()


def test_locust_without_users_is_refused_at_once(
    profile: Profile, trace: Path, folders: Folders
) -> None:
    locust = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless"]
    done = subprocess.run(
        [*locust, "-u", "0", "-t", "60s", "--target", str(profile(NULL_SERVER))],
        env=folders.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "expected 1 or more" in done.stderr
    folders.assert_nothing_left()


def test_locust_by_itself_says_that_nobody_is_there(tmp_path: Path, folders: Folders) -> None:
    target = tmp_path / "absent.toml"
    target.write_text(
        'name = "absent"\nurl = "ws://127.0.0.1:9/"\n[publish]\nmessage = "{event}"\n'
    )
    locust = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless"]
    done = subprocess.run(
        [*locust, "-u", "1", "-t", "2s", "--target", str(target), "--runs", str(folders.runs)],
        env=folders.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    assert "ws://127.0.0.1:9/: not reachable" in done.stderr
    assert list_runs(folders.runs) == []
    folders.assert_nothing_left()
