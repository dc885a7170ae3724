"""The pipeline, the demonstration and the recording as processes, as people start them."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from tests.pipeline.conftest import Project

CHECKOUT = Path(__file__).parents[2]
PHASES = ("outline", "lint", "write", "links", "package")
NOBODY = "ws://127.0.0.1:1"

pytestmark = pytest.mark.slow


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(CHECKOUT)}


def run(project: Project, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=project.root,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_a_monitor_the_pipeline_builds_after_one_warning(project: Project) -> None:
    done = run(project, "scripts.pipeline", "--monitor", NOBODY)
    assert done.returncode == 0
    assert len(done.stderr.splitlines()) == 1
    assert "connection refused" in done.stderr
    assert (project.root / "site/documentation.tar.gz").exists()


def test_a_broken_document_is_exit_code_one_with_file_and_line(project: Project) -> None:
    project.write("docs/bad.md", "# A\n\n### B\n")
    done = run(project, "scripts.pipeline", "--monitor", NOBODY)
    assert done.returncode == 1
    assert "docs/bad.md:3" in done.stderr.splitlines()[-1]
    assert not (project.root / "site/documentation.tar.gz").exists()


@pytest.mark.parametrize(
    "arguments", [("--source", "none.md"), ("--monitor", "http://x"), ("--output", "README.md")]
)
def test_wrong_usage_is_exit_code_two(project: Project, arguments: tuple[str, str]) -> None:
    done = run(project, "scripts.pipeline", "--monitor", NOBODY, *arguments)
    assert done.returncode == 2
    assert arguments[1].strip("http://") in done.stderr  # noqa: B005 - any part of it will do
    assert "Traceback" not in done.stderr


def test_a_trace_is_recorded_from_a_run_over_an_earlier_build(project: Project) -> None:
    done = run(project, "scripts.record_trace", "trace.jsonl")
    assert done.returncode == 0, done.stderr
    header, *lines = map(json.loads, (project.root / "trace.jsonl").read_text().splitlines())
    assert (header["format"], header["events"]) == (1, len(lines))
    times = [line["at_us"] for line in lines]
    assert times[0] == 0
    assert all(earlier <= later for earlier, later in pairwise(times))
    kinds = {line["event"]["type"] for line in lines}
    assert {"phase_start", "checkpoint_created", "file_trashed", "phase_complete"} < kinds
    assert lines[-1]["event"]["phase"] == "package"


def demonstrate(project: Project, *arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "scripts.demo", "--port", "0", "--every", "0", *arguments],
        cwd=project.root,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def await_builds(demo: "subprocess.Popen[str]", wanted: int) -> None:
    assert demo.stdout is not None
    builds = 0
    while builds < wanted:
        line = demo.stdout.readline()
        assert line, "the demonstration ended"
        builds += line.startswith("results in site")


def test_the_demonstration_ends_cleanly_on_ctrl_c(project: Project) -> None:
    demo = demonstrate(project, "--lasts", "0")
    assert demo.stdout is not None
    assert demo.stdout.readline().startswith("dashboard: http://localhost:")
    await_builds(demo, 2)
    demo.send_signal(signal.SIGINT)
    _, said = demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert said.strip() == "demo: stopped"


def test_the_demonstration_starts_a_killed_monitor_again_and_loses_no_event(
    project: Project,
) -> None:
    demo = demonstrate(project, "--lasts", "3", "--back-after", "1", "--once")
    assert demo.stdout is not None
    lines = [demo.stdout.readline() for _ in range(3)]
    os.kill(int(lines[2].split()[2].rstrip(";")), signal.SIGKILL)
    _, said = demo.communicate(timeout=60)
    assert demo.returncode == 0, said
    assert "the monitor has ended" in said
    assert "the monitor runs again" in said
    assert "not everything reached" not in said
    with closing(sqlite3.connect(project.root / "state" / "journal.db")) as journal:
        query = (
            "SELECT payload ->> 'phase', count(*) FROM"
            " (SELECT CAST(payload AS TEXT) AS payload FROM events)"
            " WHERE payload ->> 'type' = ? GROUP BY 1"
        )
        for kind in ("phase_start", "checkpoint_created", "phase_complete"):
            assert dict(journal.execute(query, (kind,))) == dict.fromkeys(PHASES, 1)
