"""Fixtures that run small loads: a trace, profiles, and one repeat without calibration."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from loadtests.bench import Sampling, run_locust
from loadtests.plan import Plan, make_plan
from loadtests.results import Progress, RepeatResult
from loadtests.sampler import Sample, Watch
from loadtests.scenarios import Scenario, find
from monitor.contract.launch import Launch
from monitor.contract.target import load_target
from tests.loadtests.commands import Folders

NULL_SERVER = ["{python}", "-m", "loadtests.nullserver"]
KNOWN_SERVER = ["{python}", "-m", "tests.calibration.known_server"]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """A hundred events, a millisecond apart."""
    event = {"type": "phase_progress", "phase": "lint", "progress": 1}
    lines = [{"format": 1, "source": "a test", "recorded_at": "", "events": 100}]
    lines += [{"at_us": 1000 * number, "event": event} for number in range(100)]
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def profile(tmp_path: Path) -> Callable[..., Path]:
    """Write a profile for a server that is started by `command`."""

    def write(command: list[str], claims: str = "", extra: str = "") -> Path:
        path = tmp_path / "target.toml"
        if claims:
            (tmp_path / "claims.toml").write_text(claims)
        named = 'claims = "claims.toml"\n' if claims else ""
        path.write_text(
            f'name = "test server"\nurl = "ws://127.0.0.1:1/"\n{named}'
            f"[start]\ncommand = {json.dumps(command)}\n"
            "[publish]\nmessage = '{event}'\n"
            'thinned = \'"type":"gap"\'\n'
            f"{extra}"
        )
        return path

    return write


@pytest.fixture
def plan(trace: Path) -> Callable[..., Plan]:
    """Plan a small load on a profile."""

    def make(path: Path, name: str = "chapter", **changes: object) -> Plan:
        settings: dict[str, object] = {
            "clients": 4,
            "rate": 200.0,
            "warmup_s": 0.3,
            "window_s": 1.5,
            "repeats": 1,
            "trace": trace,
        }
        scenario: type[Scenario] = find(name)
        made = make_plan(scenario, load_target(path), **{**settings, **changes})  # type: ignore[arg-type]
        return msgspec.structs.replace(made, drain_s=4.0)

    return make


class Driven:
    """One repeat that was made, and what was sampled meanwhile."""

    def __init__(self, result: RepeatResult, samples: list[Sample]) -> None:
        self.result = result
        self.samples = samples


@pytest.fixture
def drive(tmp_path: Path) -> Callable[..., Driven]:
    """Make one repeat without calibration; `meanwhile(launch, progress, locust)` may interfere."""

    def run(
        plan: Plan, meanwhile: Callable[[Launch, Progress, psutil.Process], None] | None = None
    ) -> Driven:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        locust: list[psutil.Process] = []
        with Launch(plan.target) as launch, Sampling(tmp_path) as sampling:

            def on_start(pid: int) -> None:
                locust.append(psutil.Process(pid))
                sampling.watch(Watch(1, launch.pid, pid))

            def tell(progress: Progress) -> None:
                if meanwhile is not None:
                    meanwhile(launch, progress, locust[0])

            point = next(plan.scenario.steps(plan.asked))
            allotment = plan.allotter("127.0.0.1").take(point.connections, point.strangers)
            tokens = (
                (launch.token("subscribe"), launch.token("publish"))
                if plan.target.authentication.methods
                else (None, None)
            )
            assignment = plan.assignment(1, folder, launch.target, allotment, tokens, point)
            result = run_locust(
                assignment,
                folder,
                ui=False,
                on_start=on_start,
                tell=tell,
                on_restart=launch.restart,
            )
            return Driven(result, sampling.samples())

    return run


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    """Where a command may leave something."""
    return Folders(tmp_path)
