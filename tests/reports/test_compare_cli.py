"""`wsproof report compare` and `report keep` as commands, on runs that are made alike."""

import json
from dataclasses import replace

from tests.reports import synthetic

FIVE = replace(synthetic.QUICK, repeats=5, clients=5, rate=200)
BEFORE, AFTER = "20250101-120000-load-chapter-aaaa", "20250102-120000-load-chapter-bbbb"


def test_a_run_that_became_slower_is_a_regression_with_a_figure_of_both(tmp_path, wsproof):
    synthetic.write_run(tmp_path, FIVE, run_id=BEFORE)
    synthetic.write_run(tmp_path, replace(FIVE, median_us=9_000.0), run_id=AFTER)
    out = tmp_path / "figure"
    done = wsproof("report", "compare", BEFORE, AFTER, "--runs", tmp_path, "--out", out)
    assert done.returncode == 1
    assert "response" in done.stdout
    drawn = (out / "comparison.svg").read_text()
    assert (out / "comparison.png").is_file()
    assert BEFORE in drawn
    assert AFTER in drawn
    assert wsproof("report", "compare", BEFORE, BEFORE, "--runs", tmp_path).returncode == 0
    done = wsproof("report", "compare", BEFORE, AFTER, "--runs", tmp_path, "--json")
    assert done.returncode == 1
    (mean,) = [one for one in json.loads(done.stdout) if one["name"] == "response_mean_us"]
    assert mean["change"] == "WORSE"
    assert mean["effect"] == mean["second"] - mean["first"] > 0


def test_runs_offered_something_else_are_refused(tmp_path, wsproof):
    synthetic.write_run(tmp_path, FIVE, run_id=BEFORE)
    synthetic.write_run(tmp_path, replace(FIVE, clients=6), run_id=AFTER)
    done = wsproof("report", "compare", BEFORE, AFTER, "--runs", tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert "clients" in done.stderr


def test_a_run_is_kept_where_it_is_said_and_found_there(tmp_path, wsproof):
    run = synthetic.write_run(tmp_path / "runs", FIVE)
    kept = tmp_path / "kept"
    done = wsproof("report", "keep", run.name, "--runs", tmp_path / "runs", "--kept", kept)
    assert (done.returncode, done.stdout.strip()) == (0, str(kept / run.name))
    assert (kept / run.name / "run.json").read_bytes() == (run / "run.json").read_bytes()
    assert wsproof("report", "keep", "--runs", tmp_path / "none").returncode == 3
