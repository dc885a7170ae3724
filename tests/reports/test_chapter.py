import re
import shutil

import pytest

from monitor.contract.evidence import load_run
from monitor.contract.verdicts import NoVerdictError, StaleError, UsageError
from reports import chapter
from reports.chapter import compose, region_names, write
from reports.regions import begin_marker, digest
from reports.runs import Evidence
from tests.reports import synthetic

DOCUMENT = """\
---
title: A chapter   # kept
words: 0
evidence_runs: []
evidence_date: never
status: draft
---

# Load

Before.

<!-- BEGIN wsproof:load -->
<!-- END wsproof:load -->

<!-- BEGIN wsproof:memory-cpu -->
![](pictures/memory%20use.png "old")
<!-- END wsproof:memory-cpu -->

After, without an end"""


SLOWER = "20250102-120000-load-chapter-0002"
PICTURED = """

<!-- BEGIN wsproof:memory-cpu -->
![](pictures/memory%20use.png "old")
<!-- END wsproof:memory-cpu -->"""


@pytest.fixture
def place(tmp_path, run_of):
    """A document with a table alone: no picture has to be drawn."""
    shutil.copytree(run_of(synthetic.QUICK).path, tmp_path / "runs" / synthetic.RUN_ID)
    document = tmp_path / "ch.md"
    document.write_text(DOCUMENT.replace(PICTURED, ""))
    return document


@pytest.fixture(scope="module")
def drawn(tmp_path_factory, run_of, claims):
    """A refreshed document with a picture, drawn once."""
    folder = tmp_path_factory.mktemp("drawn")
    shutil.copytree(run_of(synthetic.QUICK).path, folder / "runs" / synthetic.RUN_ID)
    (folder / "ch.md").write_text(DOCUMENT)
    write(composed(folder / "ch.md", claims))
    return folder


@pytest.fixture
def pictured(tmp_path, drawn):
    shutil.copytree(drawn, tmp_path / "copy")
    return tmp_path / "copy" / "ch.md"


def add_slow_run(place, run_of):
    folder = place.parent / "runs" / SLOWER
    synthetic.renamed(run_of(synthetic.SLOW).path, folder)


def composed(place, claims, **options):
    evidence = Evidence([place.parent / "runs"])
    return compose(place, claims, None, evidence, **options)


def test_regions_front_matter_and_pictures_are_made_from_the_newest_run(pictured):
    text = pictured.read_text()
    assert f"run={synthetic.RUN_ID} sha256=" in text
    assert "| Metric | Value |" in text
    assert "| Max concurrent clients | 50 held (claimed 50) |" in text
    assert re.search(r"\| Average latency \| 0\.8\d+ ms \(claimed <5 ms\) \|\n", text)
    assert f"evidence_runs: [{synthetic.RUN_ID}]\nevidence_date: 2025-01-01\nstatus: draft" in text
    assert "words: 0\n" not in text
    assert "](pictures/memory%20use.png)\n\n*The target needed" in text
    for suffix in ("png", "svg", "csv"):
        assert (pictured.parent / "pictures" / f"memory use.{suffix}").is_file()
    assert text.endswith("\n\nAfter, without an end")


def test_what_was_just_refreshed_is_current_and_checks_from_the_runs_it_names(
    place, claims, run_of
):
    write(composed(place, claims))
    again = composed(place, claims, same_runs=True)
    assert again.current
    assert again.diff() == ""
    add_slow_run(place, run_of)
    assert composed(place, claims, same_runs=True).current
    assert not composed(place, claims).current


def test_nothing_is_written_where_nothing_changed(pictured, claims):
    stamps = {path: path.stat().st_mtime_ns for path in pictured.parent.rglob("*.*")}
    write(composed(pictured, claims))
    assert {path: path.stat().st_mtime_ns for path in pictured.parent.rglob("*.*")} == stamps


def test_a_number_altered_by_hand_is_shown_and_refused(place, claims):
    write(composed(place, claims))
    place.write_text(place.read_text().replace("50 held", "60 held"))
    checked = composed(place, claims, same_runs=True)
    assert not checked.current
    assert "-| Max concurrent clients | 60 held (claimed 50) |" in checked.diff()
    assert "+| Max concurrent clients | 50 held (claimed 50) |" in checked.diff()
    with pytest.raises(StaleError, match=r"edited by hand .*: load \(line 13\); move your words"):
        composed(place, claims)
    write(composed(place, claims, force=True))
    assert composed(place, claims, same_runs=True).current


def test_a_picture_that_is_gone_or_another_is_stale(pictured, claims):
    picture = pictured.parent / "pictures" / "memory use.png"
    assert composed(pictured, claims, same_runs=True).current
    picture.write_bytes(b"not a picture")
    (line,) = composed(pictured, claims, same_runs=True).stale
    assert line.endswith("memory use.png: missing or not made from this evidence")
    picture.unlink()
    assert len(composed(pictured, claims, same_runs=True).stale) == 1
    picture.with_suffix(".csv").write_text("role\n")
    assert len(composed(pictured, claims, same_runs=True).stale) == 2
    write(composed(pictured, claims))
    assert composed(pictured, claims, same_runs=True).current


def test_a_false_claim_stands_in_the_document_as_false(place, claims, run_of):
    add_slow_run(place, run_of)
    made = composed(place, claims)
    assert re.search(r"\| 2\d\.\d ms \(claimed <5 ms\): \*\*FALSE\*\* \|\n", made.after)
    assert [one.judgement.claim.id for one in made.broken] == ["average-latency"]


def test_a_region_without_evidence_stays_as_it_is_and_is_named(place, claims):
    text = (
        place.read_text() + "\n\n<!-- BEGIN wsproof:security -->\nx\n<!-- END wsproof:security -->"
    )
    place.write_text(text)
    made = composed(place, claims)
    assert [region.name for region in made.without] == ["security"]
    assert made.after.endswith("<!-- BEGIN wsproof:security -->\nx\n<!-- END wsproof:security -->")


def test_a_run_that_is_gone_leaves_no_verdict(place, claims):
    write(composed(place, claims))
    (place.parent / "runs" / synthetic.RUN_ID).rename(place.parent / "elsewhere")
    with pytest.raises(NoVerdictError, match=f"run {synthetic.RUN_ID}: no such run under .*runs"):
        composed(place, claims, same_runs=True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "<!-- BEGIN wsproof:laod -->\n<!-- END wsproof:laod -->",
            "line 1: no region 'laod'.*load",
        ),
        (
            "\n<!-- BEGIN wsproof:memory-cpu -->\n![](//x/y.png)\n<!-- END wsproof:memory-cpu -->",
            "line 2: image '//x/y.png': expected a path relative",
        ),
        (
            "<!-- BEGIN wsproof:memory-cpu -->\n![](y.gif)\n<!-- END wsproof:memory-cpu -->",
            "line 1: image 'y.gif'",
        ),
    ],
)
def test_a_region_or_picture_that_cannot_be_made_is_named_with_its_line(place, claims, text, says):
    place.write_text(text)
    with pytest.raises(UsageError, match=says):
        composed(place, claims)


def test_a_check_names_an_unknown_region_as_a_refresh_does(place, claims):
    place.write_text("<!-- BEGIN wsproof:laod -->\n<!-- END wsproof:laod -->")
    with pytest.raises(UsageError, match="line 1: no region 'laod'; did you mean load"):
        composed(place, claims, same_runs=True)


@pytest.mark.parametrize("same_runs", [True, False])
def test_a_document_that_lost_its_regions_is_not_taken_for_a_true_one(place, claims, same_runs):
    place.write_text("# Words\n")
    with pytest.raises(NoVerdictError, match="has no marked region, so nothing in it is kept"):
        composed(place, claims, same_runs=same_runs)


@pytest.mark.parametrize("same_runs", [True, False])
def test_an_edit_shows_where_no_run_was_there_to_make_the_region(place, claims, same_runs):
    begin = begin_marker("load", {"run": "none", "sha256": digest("as it was\n")})
    place.write_text(f"{begin}\nas it is\n<!-- END wsproof:load -->\n")
    with pytest.raises(StaleError, match=r"edited by hand .*: load \(line 1\)"):
        composed(place, claims, same_runs=same_runs)


def test_a_write_that_fails_leaves_the_good_document(pictured, claims, monkeypatch):
    good = pictured.read_bytes()
    (pictured.parent / "pictures" / "memory use.svg").unlink()
    monkeypatch.setattr(chapter, "render_figure", lambda *_: 1 / 0)
    made = composed(pictured, claims, text=good.decode() + "more\n", force=True)
    with pytest.raises(ZeroDivisionError):
        write(made)
    assert pictured.read_bytes() == good
    assert [path.name for path in pictured.parent.iterdir() if path.name.startswith(".")] == []


def test_bytes_that_are_no_utf8_and_carriage_returns_survive(place, claims):
    raw = DOCUMENT.replace("\n", "\r\n").encode() + b" \xff\xfe"
    place.write_bytes(raw)
    write(composed(place, claims))
    made = place.read_bytes()
    assert made.endswith(b"After, without an end \xff\xfe")
    assert made.count(b"\n") == made.count(b"\r\n")
    assert composed(place, claims, same_runs=True).current


def test_every_region_the_documentation_speaks_of_has_a_name():
    wanted = {
        *("load", "latency", "throughput", "memory", "rate-limits", "security", "event-types"),
        *("authentication", "provenance", "ch3-auth", "latency-percentiles", "latency-over-time"),
    }
    assert wanted <= set(region_names())
    assert len(region_names()) == len(set(region_names()))


def test_runs_of_other_code_are_those_that_measured_the_monitor(tmp_path):
    runs = [
        load_run(synthetic.write_trials(tmp_path, ["any_origin"])).record,
        load_run(synthetic.write_twins(tmp_path, {"node": {"AU1": "PASS"}})).record,
    ]
    assert list(chapter.changed_code(runs, "another")) == [runs[0].id]
    assert list(chapter.changed_code(runs, synthetic.PROVENANCE.code_sha256)) == []
