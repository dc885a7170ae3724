"""Load from several Locust processes: on one host, and from two hosts with clocks of their own."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.contract.evidence import Run, list_runs, load_run
from monitor.contract.tables import ADMISSIONS
from monitor.contract.verdicts import RunVerdict
from tests.loadtests.conftest import NULL_SERVER

pytestmark = pytest.mark.slow

LOCUST = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--skip-log-setup"]
WSPROOF = [sys.executable, "-m", "scripts.wsproof", "load"]

#: What a worker says when it is done.
_SAID = re.compile(
    r"worker (\d+): (\d+) clients, (\d+) deliveries expected, (\d+) received, (\d+) lost"
)

#: How far the second host's clock is ahead of the first one's, in seconds.
AHEAD_S = 1000


def only_run(runs: Path) -> Run:
    (path,) = list_runs(runs)
    return load_run(path)


def assert_sum_of_parts(run: Run, said: str, workers: int) -> None:
    """The record holds what the workers counted, added up."""
    parts = [tuple(map(int, one)) for one in _SAID.findall(said)]
    assert sorted(part[0] for part in parts) == list(range(1, workers + 1)), said
    _, clients, expected, received, lost = (sum(column) for column in zip(*parts, strict=True))
    metrics = run.record.metrics
    assert metrics["clients_held"].value == clients
    assert metrics["deliveries_expected"].value == expected
    assert metrics["deliveries_received"].value == received
    assert metrics["deliveries_lost"].value == lost == 0
    (response,) = [one for one in run.histograms() if (one.name, one.repeat) == ("response", 1)]
    assert response.count == received > 0


def assert_fan_out_over_all_workers(run: Run) -> None:
    """The earliest first and the latest last receiver are those of all deliveries."""
    found = {one.name: one for one in run.histograms() if one.repeat == 1}
    first, last, response = found["first_receiver"], found["last_receiver"], found["response"]
    events = run.record.metrics["events_scheduled"].value
    assert first.count == last.count == found["spread"].count == events
    assert first.min == pytest.approx(response.min, abs=1)  # µs, cut and rounded
    assert last.max == pytest.approx(response.max, abs=1)
    assert found["spread"].sum == pytest.approx(last.sum - first.sum, abs=1)
    assert "median_receiver" not in found


def test_two_workers_on_one_host_add_up_and_share_no_address(
    profile: Callable[..., Path], trace: Path, tmp_path: Path
) -> None:
    target = profile(NULL_SERVER, extra="[promises]\nconnections_per_address = 3\n")
    done = subprocess.run(
        [
            *(*WSPROOF, "chapter", "--workers", "2", "--target", str(target)),
            *("--trace", str(trace), "--runs", str(tmp_path / "runs"), "--json"),
            *("--clients", "21", "--rate", "200", "--warmup", "0.3", "--duration", "1"),
            *("--repeats", "1"),
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    outcome = json.loads(done.stdout)
    metrics = outcome["metrics"]
    assert metrics["deliveries_received"] == 21 * metrics["events_scheduled"] > 0
    assert (metrics["clients_held"], metrics["deliveries_lost"]) == (21, 0)
    assert metrics["events_per_s"] > 0
    assert outcome["exit_code"] == done.returncode
    # One clock: service times are known, and nothing is said of clocks.
    assert metrics["service_mean_us"] < metrics["response_mean_us"]
    assert "clock_bound_us" not in metrics
    run = only_run(tmp_path / "runs")
    assert run.record.parameters["workers"] == 2
    (response,) = [one for one in run.histograms() if (one.name, one.repeat) == ("response", 1)]
    assert response.count == metrics["deliveries_received"]
    addresses = [row[2] for row in run.rows(ADMISSIONS)]
    assert_fan_out_over_all_workers(run)
    assert metrics["reach_percent"] == 100
    assert run.record.parameters["median_receiver"] == "unknown with several workers"
    assert max(addresses.count(address) for address in addresses) <= 3
    assert len(set(addresses)) >= 7


def test_a_scenario_that_moves_clients_is_refused_to_several_processes(
    profile: Callable[..., Path], tmp_path: Path
) -> None:
    done = subprocess.run(
        [
            *(*WSPROOF, "churn", "--workers", "2", "--target", str(profile(NULL_SERVER))),
            *("--runs", str(tmp_path / "runs")),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "leave out --workers" in done.stderr
    assert list_runs(tmp_path / "runs") == []


@contextlib.contextmanager
def two_hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a cable between them; the first is 10.77.0.1."""
    names = [f"wsproof-{os.getpid()}-{side}" for side in "ab"]
    for name in names:
        ip("netns", "add", name)
    try:
        ends = (f"{names[0][-9:]}", f"{names[1][-9:]}")
        ip("link", "add", ends[0], "netns", names[0], "type", "veth",
           "peer", "name", ends[1], "netns", names[1])  # fmt: skip
        for number, (name, end) in enumerate(zip(names, ends, strict=True), start=1):
            ip("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", end)
            ip("-n", name, "link", "set", end, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names[0], names[1]
    finally:
        for name in names:
            ip("netns", "del", name)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)  # noqa: S607 - wherever it is


def may_make_hosts() -> bool:
    """Only Linux has these namespaces, only root may make them, and not in every container."""
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(
        ["unshare", "--net", "--time", "--fork", "true"],  # noqa: S607 - wherever it is
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0


@pytest.mark.skipif(not may_make_hosts(), reason="this system lets nobody make hosts of its own")
def test_two_hosts_with_clocks_of_their_own_add_up(trace: Path, tmp_path: Path) -> None:
    allowed = ["--i-am-allowed-to-test", "10.77.0.1"]
    worker = [*LOCUST, "--worker", "--master-host", "10.77.0.1", *allowed]
    with two_hosts() as (here, there), contextlib.ExitStack() as running:

        def start(*command: str) -> "subprocess.Popen[str]":
            process = running.enter_context(
                subprocess.Popen(
                    ["ip", "netns", "exec", *command],  # noqa: S607 - wherever it is
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            running.callback(process.kill)
            return process

        server = start(
            *(here, sys.executable, "-m", "tests.calibration.known_server"),
            *("--host", "10.77.0.1", "constant=0.02"),
        )
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        target = tmp_path / "target.toml"
        target.write_text(f'name = "far"\nurl = "{url}"\n[publish]\nmessage = "{{event}}"\n')
        master = start(
            *(here, *LOCUST, "--master", "--headless", "--expect-workers", "2", *allowed),
            *("-u", "8", "-t", "7s", "--target", str(target), "--trace", str(trace)),
            *("--rate", "200", "--warmup", "0.5", "--runs", str(tmp_path / "runs")),
        )
        near = start(here, *worker)
        clock = ["unshare", "--time", "--monotonic", str(AHEAD_S), "--fork", "--kill-child"]
        far = start(there, *clock, *worker)
        said = [process.communicate(timeout=90)[0] for process in (master, near, far)]
    run = only_run(tmp_path / "runs")
    assert_sum_of_parts(run, "".join(said), 2)
    record = run.record
    assert record.verdict is not RunVerdict.VALID  # nothing was calibrated
    assert record.parameters["workers"] == 2
    assert record.parameters["median_receiver"] == "unknown with several workers"
    clocks = str(record.parameters["repeat_1_clocks"])
    found = re.fullmatch(r"worker \d: \+([\d.]+) s ± ([\d,]+) µs", clocks)
    assert found is not None, clocks
    bound_us = float(found[2].replace(",", ""))
    assert abs(float(found[1]) - AHEAD_S) * 1e6 <= bound_us + 1
    assert record.metrics["clock_bound_us"].value == pytest.approx(bound_us, abs=1)
    # Both halves see the 20 ms the server adds, whichever clock they read.
    assert record.metrics["response_p50_us"].value > 20_000 - bound_us
    (response,) = [one for one in run.histograms() if (one.name, one.repeat) == ("response", 1)]
    assert response.max < 5_000_000
    assert record.metrics["deliveries_out_of_range"].value == 0
    # Only the workers on the master's host know when an event was sent.
    (service,) = [one for one in run.histograms() if (one.name, one.repeat) == ("service", 1)]
    assert service.count == response.count / 2
