import json
import os
import stat
import subprocess
import sys
import textwrap
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.contract.evidence import (
    FORMAT_VERSION,
    Histogram,
    Metric,
    Provenance,
    RunRecord,
    RunWriter,
    list_runs,
    load_run,
    new_run_id,
)
from monitor.contract.tables import RESOURCES, TIMELINE, Column, Table
from monitor.contract.verdicts import NoVerdictError, RunVerdict, UsageError

PROVENANCE = Provenance(
    started_at="2025-01-01T12:00:00Z",
    finished_at="2025-01-01T12:01:00Z",
    command="wsproof load chapter",
    seed=None,
    code_sha256="0" * 64,
    profile_sha256="0" * 64,
    commit=None,
    host="0" * 12,
    cpu_model="a CPU",
    cpu_count=2,
    memory_bytes=1,
    kernel="Linux",
    open_files_limit=1024,
    python="CPython",
    libraries={},
    load_average_before=(0, 0, 0),
    load_average_after=(0, 0, 0),
)
ROW = (1, "a", 2.5, None)
SMALL = Table(
    "timeline.csv",
    (
        Column("n", "int", "a number"),
        Column("word", "str", "a word"),
        Column("x_s", "float", "a time"),
        Column("y_s", "float", "a time that may be missing"),
    ),
)
HISTOGRAM = Histogram("response", 1, "us", "HISTFAAAA", 3, 6, 1, 3, 0)


def record(run_id="run-1", **changes):
    whole = RunRecord(
        id=run_id,
        kind="load",
        scenario="chapter",
        parameters={"clients": 50},
        target="a service",
        target_url="ws://127.0.0.1:1/",
        verdict=RunVerdict.VALID,
        reasons=(),
        metrics={"mean_us": Metric(1.5, "us", repeats=(1.0, 2.0), interval=(1.0, 2.0))},
        repeats=(),
        provenance=PROVENANCE,
    )
    return msgspec.structs.replace(whole, **changes)


def write(root, run_id="run-1"):
    with RunWriter(root, run_id) as writer:
        writer.write_table(SMALL, [ROW])
        writer.write_histograms([HISTOGRAM])
        writer.write_lines("findings.jsonl", [{"check": "a"}])
        return writer.finish(record(run_id))


def test_what_was_written_is_what_is_read(tmp_path):
    run = load_run(write(tmp_path))
    assert msgspec.structs.replace(run.record, files={}) == record()
    assert sorted(run.record.files) == ["findings.jsonl", "histograms.jsonl", "timeline.csv"]
    assert list(run.rows(SMALL)) == [ROW]
    assert run.histograms() == (HISTOGRAM,)
    assert list(run.lines("findings.jsonl")) == [{"check": "a"}]


cells = st.tuples(
    st.integers(),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.floats(allow_nan=False),
    st.none() | st.floats(allow_nan=False),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(cells, max_size=5))
def test_any_row_reads_back_as_it_was_written(tmp_path, rows):
    run_id = new_run_id("load", "any")
    with RunWriter(tmp_path, run_id) as writer:
        writer.write_table(SMALL, rows)
        run = load_run(writer.finish(record(run_id)))
    assert list(run.rows(SMALL)) == rows


def test_a_finished_folder_stands_alone_and_its_files_are_read_only(tmp_path):
    path = write(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run-1"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o444}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_in_the_middle_leaves_nothing(tmp_path, error):
    def rows():
        yield ROW
        raise error

    with pytest.raises(error), RunWriter(tmp_path, "run-1") as writer:
        writer.write_table(SMALL, rows())
    assert list(tmp_path.iterdir()) == []


def test_leaving_without_finishing_leaves_nothing(tmp_path):
    with RunWriter(tmp_path, "run-1") as writer:
        writer.write_table(SMALL, [ROW])
    assert list(tmp_path.iterdir()) == []


def test_a_figure_that_is_no_number_is_refused_by_name_when_written(tmp_path):
    with RunWriter(tmp_path, "run-1") as writer:
        broken = record(metrics={"mean_us": Metric(float("nan"), "us")})
        with pytest.raises(ValueError, match="metric mean_us is nan; leave out"):
            writer.finish(broken)
    assert list_runs(tmp_path) == []


@pytest.mark.slow
def test_a_writer_that_is_killed_leaves_no_run_to_be_read(tmp_path):
    """The worst moment: `run.json` is written, the folder not yet in its place."""
    program = f"""
        import os, pathlib, signal
        from tests.contract.test_evidence import write
        pathlib.Path.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        write(pathlib.Path({str(tmp_path)!r}))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False)
    assert done.returncode == -9
    assert [path.name for path in tmp_path.iterdir()] == [".run-1.partial"]
    assert list_runs(tmp_path) == []


@pytest.mark.parametrize("name", ["timeline.csv", "histograms.jsonl", "findings.jsonl"])
def test_a_changed_file_is_noticed_and_named(tmp_path, name):
    path = write(tmp_path)
    (path / name).chmod(0o644)
    with (path / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(NoVerdictError, match=f"{name} was changed after the run"):
        load_run(path)


def test_a_missing_file_is_noticed_and_named(tmp_path):
    path = write(tmp_path)
    (path / "timeline.csv").unlink()
    with pytest.raises(NoVerdictError, match=r"incomplete: timeline.csv cannot be read"):
        load_run(path)


def change_record(path, change):
    file = path / "run.json"
    content = json.loads(file.read_text())
    change(content)
    file.chmod(0o644)
    file.write_text(json.dumps(content))


def test_a_newer_format_asks_for_a_newer_wsproof(tmp_path):
    path = write(tmp_path)
    change_record(path, lambda content: content.update(format_version=FORMAT_VERSION + 1))
    with pytest.raises(NoVerdictError, match=r"format 2 is newer than 1, .*; update wsproof"):
        load_run(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content.pop("metrics"),
        lambda content: content.update(verdict="SPLENDID"),
        lambda content: content.pop("format_version"),
        lambda content: content["metrics"]["mean_us"].update(value=None),
    ],
)
def test_a_damaged_record_is_said_to_be_damaged(tmp_path, damage):
    path = write(tmp_path)
    change_record(path, damage)
    with pytest.raises(
        NoVerdictError, match=r"run.json is damaged: (Object missing|Invalid|Expected)"
    ):
        load_run(path)


def test_what_is_not_a_run_is_said_not_to_be_one(tmp_path):
    with pytest.raises(NoVerdictError, match=r"no readable run.json .*; name a folder under runs/"):
        load_run(tmp_path)


def test_another_column_order_is_not_read_as_ours(tmp_path):
    run = load_run(write(tmp_path))
    other = msgspec.structs.replace(SMALL, columns=SMALL.columns[::-1])
    with pytest.raises(NoVerdictError, match="has columns n, word, x_s, y_s; expected y_s, x_s"):
        list(run.rows(other))


def test_a_run_that_ended_early_has_no_rows_and_no_histograms(tmp_path):
    with RunWriter(tmp_path, "run-1") as writer:
        run = load_run(writer.finish(record()))
    assert list(run.rows(TIMELINE)) == []
    assert run.histograms() == ()


def test_runs_are_listed_oldest_first_and_nothing_else_is(tmp_path):
    for run_id in ("20250102-b", "20250101-a"):
        write(tmp_path, run_id)
    (tmp_path / "20250101-a.report").mkdir()
    (tmp_path / "notes.txt").write_text("")
    assert [path.name for path in list_runs(tmp_path)] == ["20250101-a", "20250102-b"]
    assert list_runs(tmp_path / "nowhere") == []


def test_a_runs_folder_that_cannot_be_made_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written: Not a directory; pass --runs DIR"):
        RunWriter(tmp_path / "file", "run-1")


def test_an_id_sorts_by_time_holds_no_path_and_does_not_repeat():
    at = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    ids = {new_run_id("load", "../Chapter one", at) for _ in range(50)}
    assert len(ids) > 1
    assert all(each.startswith("20250102-030405-load----") for each in ids)
    assert all(os.sep not in each for each in ids)


@pytest.mark.parametrize("table", [TIMELINE, RESOURCES])
def test_every_time_and_size_column_carries_its_unit(table):
    unitless = {"repeat", "clients", "role", "processes", "descriptors", "threads"}
    units = ("_s", "_us", "_bytes", "_percent")
    counted = ("events_", "deliveries_")
    assert [
        name
        for name in table.names
        if name not in unitless and not name.endswith(units) and not name.startswith(counted)
    ] == []


def test_a_figure_changed_in_run_json_is_noticed(tmp_path):
    path = write(tmp_path)
    changed = path / "run.json"
    changed.chmod(0o644)
    text = changed.read_text()
    changed.write_text(text.replace('"value": ', '"value": 1', 1))
    assert changed.read_text() != text
    with pytest.raises(NoVerdictError, match=r"run\.json was changed"):
        load_run(path)


def test_a_run_without_its_seal_is_incomplete(tmp_path):
    path = write(tmp_path)
    (path / "run.json.sha256").unlink()
    with pytest.raises(NoVerdictError, match="incomplete"):
        load_run(path)
