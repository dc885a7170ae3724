"""`wsproof report` as a command: what it prints where, and how it ends."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from textwrap import dedent
from xml.etree import ElementTree as ET

import pytest

from tests.reports import synthetic

MEMORY_BOUND = 500_000_000


def process(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "scripts.wsproof", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.slow
def test_a_process_of_its_own_builds_the_bytes_this_one_does_and_says_where(
    tmp_path, run_of, quick_report
):
    run, out = run_of(synthetic.QUICK).path, tmp_path / "out"
    done = process("report", "build", run, "--out", out, PYTHONHASHSEED="1")
    assert done.returncode == 0
    assert done.stdout.startswith("| Metric | Claimed | Measured |  |\n")
    assert f"run {run.name} is VALID; report: {out / 'report.html'}" in done.stderr
    theirs, ours = (
        {path.name: path.read_bytes() for path in folder.iterdir()}
        for folder in (out, quick_report.folder)
    )
    assert len(theirs) == 15
    assert theirs == ours


def test_a_false_claim_ends_with_one_and_the_summary_a_program_reads_says_so(tmp_path, wsproof):
    synthetic.write_run(tmp_path, synthetic.SLOW)
    assert wsproof("report", "build", synthetic.RUN_ID, "--runs", tmp_path).returncode == 1
    report = tmp_path / f"{synthetic.RUN_ID}.report" / "report.json"
    summary = json.loads(report.read_text())
    assert summary["runs"] == [{"run": synthetic.RUN_ID, "verdict": "VALID", "reasons": []}]
    assert summary["exit_code"] == 1
    assert {one["run"] for one in summary["claims"]} == {synthetic.RUN_ID}
    assert [one["verdict"] for one in summary["claims"]] == ["TRUE", "TRUE", "FALSE", "TRUE"]
    done = wsproof("report", "claims", "--runs", tmp_path)
    assert done.returncode == 1  # it outweighs the claims nothing was measured for


def test_an_invalid_run_ends_with_three(tmp_path, wsproof):
    run = synthetic.write_empty_run(tmp_path)
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


def test_claims_as_json_can_be_read_by_a_program(tmp_path, wsproof):
    run = synthetic.write_run(tmp_path, synthetic.QUICK)
    done = wsproof(
        "report", "claims", "--runs", tmp_path, "--json", "--claims", claims_file(tmp_path)
    )
    (row,) = json.loads(done.stdout)
    assert (row["claim"], row["verdict"], row["run"]) == ("latency", "TRUE", run.name)
    assert row["measured"]["unit"] == row["unit"] == "us"
    assert row["margin"] == 5000 - row["measured"]["value"]
    assert (done.returncode, done.stderr) == (0, "")


def test_claims_are_written_for_ci_as_junit_and_markdown(tmp_path, wsproof):
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


def test_a_claim_whose_sentence_is_gone_ends_with_four(tmp_path, wsproof):
    synthetic.write_run(tmp_path, synthetic.QUICK)
    claims = claims_file(tmp_path, sentence="It takes less than 4 ms.")
    done = wsproof("report", "claims", "--runs", tmp_path, "--claims", claims)
    assert done.returncode == 4
    assert "chapter.md: claim 'latency': its sentence does not stand" in done.stderr
    (tmp_path / "chapter.md").unlink()
    gone = wsproof("report", "claims", "--runs", tmp_path, "--claims", claims)
    assert gone.returncode == 4
    assert "chapter.md: not here, so no claim's sentence stands in it" in gone.stderr
    elsewhere = tmp_path / "elsewhere.md"
    elsewhere.write_text("It takes less than 4 ms.")
    more = ("--claims", claims, "--document", elsewhere)
    assert wsproof("report", "claims", "--runs", tmp_path, *more).returncode == 0


def test_claims_without_evidence_end_with_three_and_say_how_to_make_it(tmp_path, wsproof):
    synthetic.write_run(tmp_path, synthetic.QUICK)
    done = wsproof("report", "claims", "--runs", tmp_path)
    assert done.returncode == 3
    assert "make one with `wsproof audit`" in done.stdout


def test_a_run_of_another_service_is_not_judged_by_the_monitors_claims(tmp_path, wsproof):
    run = synthetic.write_audit(tmp_path, {"HS1": "PASS"}, target="their service")
    done = wsproof("report", "build", run.name, "--runs", tmp_path)
    assert done.returncode == 3
    assert "pass its own with --claims FILE" in done.stderr
    assert "No claim was judged" in done.stdout


@pytest.mark.parametrize("command", ["build", "claims"])
def test_no_runs_yet_ends_with_three_and_the_next_step(tmp_path, command, wsproof):
    done = wsproof("report", command, "--runs", tmp_path / "runs")
    assert (done.returncode, done.stdout) == (3, "")
    assert "no runs yet; measure first" in done.stderr


def test_a_changed_file_ends_with_three_and_its_name(tmp_path, wsproof):
    run = synthetic.write_run(tmp_path, synthetic.QUICK)
    (run / "timeline.csv").chmod(0o644)
    (run / "timeline.csv").write_text("edited")
    done = wsproof("report", "build", "--runs", tmp_path)
    assert done.returncode == 3
    assert "timeline.csv was changed after the run" in done.stderr


def test_a_folder_that_is_not_a_run_ends_with_three(tmp_path, wsproof):
    done = wsproof("report", "build", tmp_path)
    assert done.returncode == 3
    assert "no readable run.json" in done.stderr


def test_a_missing_claims_document_ends_with_two(tmp_path, wsproof):
    synthetic.write_run(tmp_path, synthetic.QUICK)
    done = wsproof("report", "claims", "--runs", tmp_path, "--claims", tmp_path / "no.toml")
    assert done.returncode == 2
    assert "no.toml: no such file; check the path" in done.stderr


MEASURE = dedent(
    """
    import resource, sys, time
    from scripts.wsproof import run

    for folder in sys.argv[1:]:
        before = time.process_time()
        run(["report", "build", "--runs", folder])
        print("", time.process_time() - before, file=sys.stderr)
    print("", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, file=sys.stderr)
    """
)


@pytest.mark.slow
def test_ten_million_deliveries_cost_a_report_no_more_than_ten_thousand(tmp_path):
    """Time as a ratio, since a machine may be busy; memory in bytes, the greater run's included.

    A wide spread fills what buckets there are.
    """
    few = replace(synthetic.QUICK, clients=5, rate=500)
    many = replace(synthetic.QUICK, sigma=1.5, weight=60)
    folders = []
    for name, shape in (("few", few), ("many", many)):
        run = synthetic.write_run(tmp_path / name, shape)
        folders.append(str(tmp_path / name))
    received = json.loads((run / "run.json").read_text())["metrics"]["deliveries_received"]
    assert received["value"] > 10_000_000
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *folders], capture_output=True, text=True, check=True
    )
    said = [line.strip() for line in done.stderr.splitlines() if line.startswith(" ")]
    few_s, many_s, peak_bytes = map(float, said)
    assert many_s < 3 * few_s
    assert peak_bytes < MEMORY_BOUND
