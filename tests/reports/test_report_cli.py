"""`wsproof report` as a process: what it prints where, and how it ends."""

import json
import os
import subprocess
import sys

import pytest

from tests.reports import synthetic

pytestmark = pytest.mark.slow
MEMORY_BOUND = 500_000_000


def wsproof(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "scripts.wsproof", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_build_prints_the_table_says_where_the_report_is_and_holds(tmp_path):
    run = synthetic.write_run(tmp_path)
    done = wsproof("report", "build", "--runs", tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("| Metric | Claimed | Measured |  |\n")
    page = tmp_path / f"{run.name}.report" / "report.md"
    assert f"run {run.name} is VALID; report: {page}" in done.stderr
    assert page.is_file()


def test_two_processes_build_the_same_bytes(tmp_path):
    synthetic.write_run(tmp_path, synthetic.QUICK)
    for seed in ("1", "2"):
        out = tmp_path / seed
        wsproof("report", "build", "--runs", tmp_path, "--out", out, PYTHONHASHSEED=seed)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / seed).iterdir()} for seed in "12"
    )
    assert len(first) == 11
    assert first == second


def test_a_false_claim_ends_with_one(tmp_path):
    synthetic.write_run(tmp_path, synthetic.SLOW)
    assert wsproof("report", "build", "--runs", tmp_path).returncode == 1
    assert wsproof("report", "claims", "--runs", tmp_path).returncode == 1


def test_an_invalid_run_ends_with_three(tmp_path):
    synthetic.write_run(tmp_path, synthetic.INVALID)
    assert wsproof("report", "build", "--runs", tmp_path).returncode == 3


def test_claims_as_json_can_be_read_by_a_program(tmp_path):
    synthetic.write_run(tmp_path, synthetic.QUICK)
    done = wsproof("report", "claims", "--runs", tmp_path, "--json")
    rows = json.loads(done.stdout)
    assert [(row["claim"], row["verdict"]) for row in rows] == [
        ("concurrent-clients", "TRUE"),
        ("events-per-second", "TRUE"),
        ("average-latency", "TRUE"),
        ("memory", "TRUE"),
    ]
    assert rows[1]["measured"]["value"] == 1000.0
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_of_another_service_is_not_judged_by_the_monitors_claims(tmp_path):
    synthetic.write_run(tmp_path, synthetic.QUICK, target="their service")
    done = wsproof("report", "build", "--runs", tmp_path)
    assert done.returncode == 3
    assert "pass its own with --claims FILE" in done.stderr
    assert "No claim was judged" in done.stdout


@pytest.mark.parametrize("command", ["build", "claims"])
def test_no_runs_yet_ends_with_three_and_the_next_step(tmp_path, command):
    done = wsproof("report", command, "--runs", tmp_path / "runs")
    assert (done.returncode, done.stdout) == (3, "")
    assert "no runs yet; measure first" in done.stderr


def test_a_changed_file_ends_with_three_and_its_name(tmp_path):
    run = synthetic.write_run(tmp_path, synthetic.QUICK)
    (run / "timeline.csv").chmod(0o644)
    (run / "timeline.csv").write_text("edited")
    done = wsproof("report", "build", "--runs", tmp_path)
    assert done.returncode == 3
    assert "timeline.csv was changed after the run" in done.stderr


def test_a_folder_that_is_not_a_run_ends_with_three(tmp_path):
    done = wsproof("report", "build", tmp_path)
    assert done.returncode == 3
    assert "no readable run.json" in done.stderr


def test_a_missing_claims_document_ends_with_two(tmp_path):
    synthetic.write_run(tmp_path, synthetic.QUICK)
    done = wsproof("report", "claims", "--runs", tmp_path, "--claims", tmp_path / "no.toml")
    assert done.returncode == 2
    assert "no.toml: no such file; check the path" in done.stderr


def test_a_report_of_a_normal_run_stays_within_its_memory(tmp_path):
    synthetic.write_run(tmp_path)
    measure = (
        "import resource, sys; from scripts.wsproof import run; run(sys.argv[1:]);"
        "print('', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", measure, "report", "build", "--runs", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stderr.split()[-1]) < MEMORY_BOUND
