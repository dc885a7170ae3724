import json
import shutil
from dataclasses import replace

import msgspec
import pytest

import reports.build
from monitor.contract.claims import Judgement
from monitor.contract.evidence import FORMAT_VERSION
from monitor.contract.verdicts import (
    ClaimVerdict,
    ExitCode,
    NoVerdictError,
    RunVerdict,
    UsageError,
)
from reports.account import of_run
from reports.build import build, exit_code
from reports.render_markdown import render_report
from tests.reports import synthetic

FIGURES = ("latency-over-time", "latency-percentiles", "memory-cpu", "offered-delivered")
FORMATS = ("png", "svg", "csv")
FILES = sorted(
    [
        "report.html",
        "report.md",
        "report.json",
        *(f"{name}.{kind}" for name in FIGURES for kind in FORMATS),
    ]
)


@pytest.fixture
def quick(run_of):
    return run_of(synthetic.QUICK)


@pytest.fixture
def built(quick_report):
    return quick_report


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_report_is_a_page_its_figures_and_their_values(built):
    report = built
    assert sorted(contents(report.folder)) == FILES
    assert report.markdown == report.folder / "report.md"
    assert report.table in report.markdown.read_text()
    assert [one.verdict for one in report.judgements] == ["TRUE"] * 4


def test_a_report_replaces_the_one_before_it_by_the_same_bytes_and_leaves_nothing_beside(
    built, quick, claims, tmp_path
):
    out = tmp_path / "out"
    shutil.copytree(built.folder, out)
    (out / "stale.png").write_bytes(b"")
    build(quick.path, claims, out)
    assert contents(out) == contents(built.folder)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_build_that_fails_half_way_leaves_the_good_report(
    built, quick, claims, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    shutil.copytree(built.folder, out)
    good = contents(out)
    monkeypatch.setattr(reports.build, "render_figure", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build(quick.path, claims, out)
    assert contents(out) == good
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_is_no_report_is_never_replaced(quick, claims, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"is not a report of wsproof.*pass --out"):
        build(quick.path, claims, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_an_output_that_cannot_be_written_is_a_usage_error(quick, claims, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written: Not a directory; pass --out DIR"):
        build(quick.path, claims, tmp_path / "file" / "out")


def test_the_page_opens_with_the_verdict_on_the_run_and_its_reasons(run_of, claims):
    page = render_report(of_run(run_of(synthetic.INVALID), claims))
    assert page.startswith(
        "# reference monitor, scenario chapter: 0 of 4 claims hold, 4 are UNPROVEN\n\n"
        "**The run is INVALID**: the figures below prove nothing, either way."
    )
    assert f"\n- {synthetic.INVALID.reasons[0]}\n" in page[:700]


def test_the_page_reads_in_order_and_ends_with_how_to_repeat_it(built):
    page = built.markdown.read_text()
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == [
        "Claims",
        "Latency",
        "Throughput and delivery",
        "Memory and CPU",
        "Where these figures come from",
        "How to repeat it",
    ]
    assert f"wsproof load chapter\nwsproof report build {synthetic.RUN_ID}" in page


def test_every_figure_on_the_page_has_alt_text_and_a_file(built):
    images = [line for line in built.markdown.read_text().splitlines() if line.startswith("![")]
    assert len(images) == len(FIGURES)
    for image in images:
        alt, _, file = image[2:-1].partition("](")
        assert len(alt) > 60
        assert (built.folder / file).is_file()


def test_a_run_that_never_reached_its_target_still_has_a_report(claims, tmp_path):
    run = synthetic.write_empty_run(tmp_path)
    report = build(run, claims, tmp_path / "out")
    assert sorted(contents(report.folder)) == ["report.html", "report.json", "report.md"]
    assert "not measured" in report.table
    assert "The run is INVALID: the target was never reachable." in report.table


def test_a_scenario_no_claim_speaks_of_is_reported_without_a_verdict(tmp_path):
    report = build(synthetic.write_empty_run(tmp_path), (), tmp_path / "out")
    assert report.table == "No claim was judged: none speaks of this scenario."
    assert "so nothing was judged" in report.markdown.read_text()
    assert json.loads((report.folder / "report.json").read_text())["exit_code"] == 3


def edit(folder, change):
    file = folder / "run.json"
    record = json.loads(file.read_text())
    change(record)
    file.chmod(0o644)
    file.write_text(json.dumps(record))


def test_evidence_that_cannot_be_believed_gives_no_report(claims, tmp_path):
    run = synthetic.write_run(tmp_path, replace(synthetic.QUICK, clients=2, rate=100))
    edit(run, lambda record: record.update(format_version=FORMAT_VERSION + 1))
    with pytest.raises(NoVerdictError, match="is newer than"):
        build(run, claims, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def judgements(claims, *verdicts):
    return [Judgement(claim, verdict, "") for claim, verdict in zip(claims, verdicts, strict=False)]


TRUE, FALSE, UNPROVEN = ClaimVerdict


@pytest.mark.parametrize(
    ("run", "verdicts", "expected"),
    [
        (RunVerdict.VALID, (TRUE, TRUE), ExitCode.HOLDS),
        (RunVerdict.SUSPECT, (TRUE, TRUE), ExitCode.HOLDS),
        (RunVerdict.VALID, (TRUE, FALSE), ExitCode.BROKEN),
        (RunVerdict.VALID, (UNPROVEN, FALSE), ExitCode.BROKEN),
        (RunVerdict.VALID, (TRUE, UNPROVEN), ExitCode.NO_VERDICT),
        (RunVerdict.VALID, (), ExitCode.NO_VERDICT),
        (RunVerdict.INVALID, (UNPROVEN, UNPROVEN), ExitCode.NO_VERDICT),
        (RunVerdict.INVALID, (), ExitCode.NO_VERDICT),
    ],
)
def test_only_a_believed_run_whose_claims_all_hold_ends_with_zero(
    quick, claims, run, verdicts, expected
):
    record = msgspec.structs.replace(quick.record, verdict=run)
    assert exit_code(record, judgements(claims, *verdicts)) is expected
