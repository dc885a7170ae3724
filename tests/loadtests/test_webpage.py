"""Our tab in Locust's page: what it says, and that the page really gets it."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from loadtests.accounting.histogram import Recorder
from loadtests.conductor import Standing
from loadtests.webpage import rows
from tests.loadtests.conftest import NULL_SERVER


def table(standing: Standing | None) -> dict[str, tuple[str, str]]:
    return {row["figure"]: (row["response"], row["service"]) for row in rows(standing)}


def test_percentiles_need_samples_and_reach_counts_what_is_owed() -> None:
    response, service = Recorder(), Recorder()
    response.record(np.full(5000, 2_000_000))
    service.record(np.full(5000, 1_000_000))
    found = table(Standing(response, service, 5, 1000, 5010, 5000, 10, "measuring"))
    assert found["p99"][0].startswith("2.0")
    assert found["p99"][1].startswith("1.0")
    assert found["p999"] == ("n too small", "n too small")
    assert found["mean"] == ("2.000 ms", "1.000 ms")
    assert found["reach"][0] == "99.800 %"
    assert found["lost so far"][0] == "10"
    assert found["verdict"][0] == "measuring"


def test_before_anything_is_measured_the_tab_says_so() -> None:
    assert table(None) == {"verdict": ("not started", "")}


@pytest.mark.slow
def test_locusts_page_has_the_tab_and_its_figures(
    profile: Callable[..., Path], trace: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--autostart"]
    command += ["--web-port", str(port), "-u", "4", "-t", "20s"]
    command += ["--target", str(profile(NULL_SERVER)), "--runs", str(tmp_path / "runs")]
    command += ["--trace", str(trace), "--rate", "300", "--warmup", "0.3"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            stats = asked_until(f"http://127.0.0.1:{port}/stats/requests", reached_everybody)
            page = ask(f"http://127.0.0.1:{port}/")
            listening = {
                one.laddr
                for one in psutil.Process(process.pid).net_connections()
                if one.status == psutil.CONN_LISTEN
            }
        finally:
            process.terminate()
            process.communicate(timeout=30)
    assert listening == {("127.0.0.1", port)}  # nobody else's machine may start a load here
    assert '"extended_tabs"' in page.replace("&#34;", '"')
    found = figures_of(stats)
    assert found["clients"] == "4"
    assert found["reach"] == "100.000 %"
    assert found["p50"].endswith(" ms")


def ask(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own http URL
        return str(response.read().decode())


def asked_until(url: str, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Ask as the page does, again and again."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            stats: dict[str, Any] = json.loads(ask(url))
        except OSError:
            time.sleep(0.1)  # it still starts
            continue
        if enough(stats):
            return stats
        time.sleep(0.2)  # the page itself asks every two seconds
    raise AssertionError("the page never had what it should")


def figures_of(stats: dict[str, Any]) -> dict[str, str]:
    (ours,) = stats["extended_stats"]
    assert ours["key"] == "wsproof"
    return {row["figure"]: row["response"] for row in ours["data"]}


def reached_everybody(stats: dict[str, Any]) -> bool:
    found = figures_of(stats)
    return found.get("reach") == "100.000 %" and found["p50"].endswith(" ms")
