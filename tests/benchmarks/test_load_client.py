"""What the load client costs a delivery and a connection, beside a stock Locust user.

Both read the same broadcasts of the same server at the same time, so that what else the machine
does meets both. CPU is user and system time of each process (`getrusage`), never wall time.
Figures are in `extra_info`: the timed function is empty, as CPU is other processes'.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import pytest

from monitor.contract.evidence import Repeat, Run, list_runs, load_run
from monitor.contract.launch import Launch
from monitor.contract.tables import RESOURCES
from monitor.contract.target import load_target

pytestmark = [pytest.mark.slow, pytest.mark.alone]

ROOT = Path(__file__).parents[2]
LOAD = [sys.executable, "-m", "scripts.wsproof", "load", "chapter", "--json"]
STOCK = [sys.executable, "-m", "locust", "-f", str(ROOT / "tests/benchmarks/stock_locustfile.py")]

SERVER = """
name = "broadcaster"
url = "ws://127.0.0.1:1/"
[start]
command = ["{python}", "-m", "loadtests.nullserver"]
[publish]
message = '{event}'
"""


class Stock:
    """A stock Locust process: what it said when its users were connected and when it quit."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.connected = self._line()

    def quit(self) -> dict[str, float]:
        self._process.terminate()
        account = self._line()
        self._process.communicate(timeout=30)
        return account

    def _line(self) -> dict[str, float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the stock Locust process ended early"
        return json.loads(line)


@contextmanager
def stock(url: str, kind: str, users: int) -> Iterator[Stock]:
    command = [*STOCK, "--headless", "--only-summary", "--skip-log-setup", "--kind", kind]
    command += ["-u", str(users), "-r", "100", "--host", url]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Stock(process)
        finally:
            process.kill()


def trace(path: Path, together: int) -> Path:
    """Events that fall due `together` at a time, evenly otherwise."""
    event = {"type": "phase_progress", "phase": "lint", "progress": 1, "message": "x" * 60}
    at_us = [1000 * (number // together) for number in range(10 * together)]
    lines = [{"format": 1, "source": "a benchmark", "events": len(at_us)}]
    lines += [{"at_us": at, "event": event} for at in at_us]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def load(folder: Path, target: Path, *arguments: str) -> Run:
    """Run a chapter's load and return its evidence."""
    command = [*LOAD, "--target", str(target), "--runs", str(folder / "runs"), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return load_run(Path(json.loads(done.stdout)["evidence"]))


def locust(runs: Path, target: Path, *arguments: str) -> Repeat:
    """Run our locustfile in plain Locust, which calibrates nothing and so is sooner done."""
    command = [sys.executable, "-m", "locust", "-f", str(ROOT / "loadtests/locustfile.py")]
    command += ["--headless", "--only-summary", "--target", str(target), "--runs", str(runs)]
    subprocess.run([*command, *arguments], capture_output=True, check=False)
    (run,) = list_runs(runs)
    (repeat,) = load_run(run).record.repeats
    return repeat


def ours_per_cpu_s(repeat: Repeat) -> float:
    """Deliveries of one repeat for each CPU second of the Locust process in the window."""
    cpu_s = repeat.metrics["generator_cpu_percent"].value / 100 * repeat.window_s
    return repeat.metrics["deliveries_received"].value / cpu_s


@pytest.mark.parametrize(
    ("together", "rate", "stock_users", "least_ratio", "least_per_cpu_s"),
    [(1, 400, 50, 2.5, 0), (50, 5000, 5, 10, 500_000)],
    ids=["one by one", "in batches"],
)
def test_deliveries_a_cpu_second(
    benchmark, tmp_path, together, rate, stock_users, least_ratio, least_per_cpu_s
):
    """50 clients of ours and some stock users, on the same broadcasts."""
    rounds, run_s = (5, 6) if benchmark.enabled else (1, 3)
    path = tmp_path / "server.toml"
    path.write_text(SERVER)
    ours, stocks = [], []
    for number in range(rounds):
        with ExitStack() as stack:
            launch = stack.enter_context(Launch(load_target(path)))
            running = tmp_path / f"running-{number}.toml"
            start = SERVER[SERVER.index("[start]") : SERVER.index("[publish]")]
            said = SERVER.replace(start, "").replace("ws://127.0.0.1:1/", launch.target.url)
            running.write_text(said)
            beside = stack.enter_context(stock(launch.target.url, "receive", stock_users))
            repeat = locust(
                tmp_path / f"runs-{number}",
                running,
                *("--trace", str(trace(tmp_path / "trace.jsonl", together))),
                *("-u", "50", "--rate", str(rate), "--warmup", "0.5", "-t", f"{run_s}s"),
            )
            assert repeat.metrics["deliveries_lost"].value == 0
            ours.append(ours_per_cpu_s(repeat))
            account = beside.quit()
            assert account["messages"] > 0
            stocks.append(account["messages"] / account["cpu_s"])
    ratio = median(a / b for a, b in zip(ours, stocks, strict=True))
    benchmark.extra_info.update(
        ours_per_cpu_s=[round(one) for one in ours],
        stock_per_cpu_s=[round(one) for one in stocks],
        ratio=round(ratio, 1),
    )
    benchmark.pedantic(lambda: None, rounds=1)
    print(benchmark.extra_info)
    if benchmark.enabled:
        assert ratio >= least_ratio
        assert median(ours) >= least_per_cpu_s


def test_memory_a_client(benchmark, tmp_path):
    """RSS of the Locust process a connected client, beyond what Locust takes for a user.

    Once while everybody is connected, and once at the peak: as a run ends, Locust starts a
    greenlet for each user that is to stop. The idle process is asked before it does, so that the
    peak counts this as ours.
    """
    few, many = 50, 2050
    path = tmp_path / "server.toml"
    path.write_text(SERVER)
    ours, locusts, peaks, locusts_peaks = [], [], [], []
    for clients in (few, many) if benchmark.enabled else (few,):
        run = load(
            tmp_path,
            path,
            *("--trace", str(trace(tmp_path / "trace.jsonl", 1)), "--clients", str(clients)),
            *("--rate", "5", "--repeats", "1", "--warmup", "0.5", "--duration", "2"),
        )
        assert run.record.metrics["clients_held"].value == clients
        # The samples before the last half second: everybody is connected, nobody leaves yet.
        rss = [row[4] for row in run.rows(RESOURCES) if row[2] == "generator"]
        ours.append(median(rss[-15:-5]))
        with stock("ws://127.0.0.1:1/", "idle", clients) as idle:
            locusts.append(idle.connected["rss_bytes"])
            locusts_peaks.append(idle.quit()["rss_peak_bytes"])
        peaks.append(run.record.metrics["generator_rss_peak_bytes"].value)
    benchmark.pedantic(lambda: None, rounds=1)
    if not benchmark.enabled:
        return
    mine, its_own, peak, its_own_peak = (
        (one[1] - one[0]) / (many - few) for one in (ours, locusts, peaks, locusts_peaks)
    )
    benchmark.extra_info.update(
        bytes_a_client=round(mine),
        locusts_own=round(its_own),
        bytes_a_client_at_peak=round(peak),
        locusts_own_at_peak=round(its_own_peak),
    )
    print(benchmark.extra_info)
    assert mine - its_own <= 10 * 1024
    assert peak - its_own_peak <= 10 * 1024
