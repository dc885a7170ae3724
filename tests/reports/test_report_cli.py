"""`wsproof report` as a process: what it prints where, and how it ends."""

import json
import os
import subprocess
import sys
from xml.etree import ElementTree as ET

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
    done = wsproof("report", "build", run.name, "--runs", tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("| Metric | Claimed | Measured |  |\n")
    page = tmp_path / f"{run.name}.report" / "report.html"
    assert f"run {run.name} is VALID; report: {page}" in done.stderr
    assert page.is_file()


def test_two_processes_build_the_same_bytes(tmp_path):
    build = ("report", "build", synthetic.write_run(tmp_path, synthetic.QUICK).name)
    for seed in ("1", "2"):
        out = tmp_path / seed
        wsproof(*build, "--runs", tmp_path, "--out", out, PYTHONHASHSEED=seed)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / seed).iterdir()} for seed in "12"
    )
    assert len(first) == 15
    assert first == second


def test_a_false_claim_ends_with_one(tmp_path):
    synthetic.write_run(tmp_path, synthetic.SLOW)
    assert wsproof("report", "build", synthetic.RUN_ID, "--runs", tmp_path).returncode == 1
    done = wsproof("report", "claims", "--runs", tmp_path)
    assert done.returncode == 1  # it outweighs the claims nothing was measured for


def test_an_invalid_run_ends_with_three(tmp_path):
    run = synthetic.write_run(tmp_path, synthetic.INVALID)
    assert wsproof("report", "build", run.name, "--runs", tmp_path).returncode == 3


def claims_file(folder, sentence="It takes less than 5 ms."):
    file = folder / "claims.toml"
    file.write_text(
        f"""format = 1
document = "chapter.md"
[[claim]]
id = "latency"
label = "Latency"
claimed = "<5 ms"
sentence = "{sentence}"
scenario = "chapter"
metric = "response_mean_us"
comparison = "<"
bound = 5000
unit = "us"
"""
    )
    (folder / "chapter.md").write_text("# A chapter\n\nIt takes less\nthan *5 ms*.\n")
    return file


def test_claims_as_json_can_be_read_by_a_program(tmp_path):
    run = synthetic.write_run(tmp_path, synthetic.QUICK)
    done = wsproof(
        "report", "claims", "--runs", tmp_path, "--json", "--claims", claims_file(tmp_path)
    )
    (row,) = json.loads(done.stdout)
    assert (row["claim"], row["verdict"], row["run"]) == ("latency", "TRUE", run.name)
    assert row["measured"]["unit"] == row["unit"] == "us"
    assert row["margin"] == 5000 - row["measured"]["value"]
    assert (done.returncode, done.stderr) == (0, "")


def test_claims_are_written_for_ci_as_junit_and_markdown(tmp_path):
    synthetic.write_run(tmp_path, synthetic.SLOW)
    junit, summary = tmp_path / "claims.xml", tmp_path / "claims.md"
    done = wsproof(
        *("report", "claims", "--runs", tmp_path, "--claims", claims_file(tmp_path)),
        *("--junit", junit, "--markdown", summary),
    )
    assert done.returncode == 1
    suite = ET.parse(junit).getroot().find("testsuite")  # noqa: S314 - our own file
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("1", "1", "0")
    assert suite.find("testcase/failure").get("type") == "FALSE"
    assert summary.read_text().startswith("## 0 of 1 claim hold, 1 is FALSE\n\n| Metric |")


def test_a_claim_whose_sentence_is_gone_ends_with_four(tmp_path):
    synthetic.write_run(tmp_path, synthetic.QUICK)
    claims = claims_file(tmp_path, sentence="It takes less than 4 ms.")
    done = wsproof("report", "claims", "--runs", tmp_path, "--claims", claims)
    assert done.returncode == 4
    assert "chapter.md: claim 'latency': its sentence does not stand" in done.stderr
    elsewhere = tmp_path / "elsewhere.md"
    elsewhere.write_text("It takes less than 4 ms.")
    more = ("--claims", claims, "--document", elsewhere)
    assert wsproof("report", "claims", "--runs", tmp_path, *more).returncode == 0


def test_claims_without_evidence_end_with_three_and_say_how_to_make_it(tmp_path):
    synthetic.write_run(tmp_path, synthetic.QUICK)
    done = wsproof("report", "claims", "--runs", tmp_path)
    assert done.returncode == 3
    assert "make one with `wsproof audit`" in done.stdout


def test_a_run_of_another_service_is_not_judged_by_the_monitors_claims(tmp_path):
    run = synthetic.write_run(tmp_path, synthetic.QUICK, target="their service")
    done = wsproof("report", "build", run.name, "--runs", tmp_path)
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
