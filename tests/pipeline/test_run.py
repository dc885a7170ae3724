import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from monitor.contract.verdicts import ExitCode, UsageError
from scripts.pipeline.build import Build
from scripts.pipeline.documents import DEFAULT_SOURCES, PipelineError, find_sources
from scripts.pipeline.run import PHASES, run
from tests.pipeline.conftest import Collected, Project

ROOT = Path(__file__).parents[2]
NAMES = [work.__name__ for work in PHASES]


def of_type(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == kind]


def test_every_phase_starts_completes_and_leaves_a_checkpoint(project: Project) -> None:
    reporter = Collected()
    project.build(reporter)
    events = reporter.events
    for kind in ("phase_start", "checkpoint_created", "phase_complete"):
        assert [event["phase"] for event in of_type(events, kind)] == NAMES
    for checkpoint in of_type(events, "checkpoint_created"):
        assert json.loads((project.root / checkpoint["path"]).read_bytes()) is not None


def test_progress_rises_to_a_hundred_in_every_phase(project: Project) -> None:
    reporter = Collected()
    project.build(reporter)
    for name in NAMES:
        reported = [
            event["progress"]
            for event in of_type(reporter.events, "phase_progress")
            if event["phase"] == name
        ]
        assert reported == sorted(reported)
        assert reported[-1] == 100


def test_a_second_build_moves_every_replaced_output_to_the_trash(project: Project) -> None:
    project.build()
    first = {path: path.read_bytes() for path in project.root.glob("site/[!.]*.*")}
    reporter = Collected()
    project.build(reporter)
    trashed = [event["path"] for event in of_type(reporter.events, "file_trashed")]
    assert sorted(trashed) == [
        "site/trash/README.html",
        "site/trash/SHA256SUMS",
        "site/trash/docs/guide.html",
        "site/trash/documentation.tar.gz",
    ]
    for path, content in first.items():
        assert (project.root / "site/trash" / path.name).read_bytes() == content


def test_the_same_sources_give_the_same_bytes(project: Project) -> None:
    project.build()
    archive = project.root / "site/documentation.tar.gz"
    first = archive.read_bytes()
    project.build()
    assert archive.read_bytes() == first


def test_the_archive_carries_no_time_of_its_making(project: Project) -> None:
    project.build()
    archive = project.root / "site/documentation.tar.gz"
    assert archive.read_bytes()[4:8] == bytes(4)  # MTIME, RFC 1952 section 2.3
    with tarfile.open(archive) as members:
        assert {(member.mtime, member.uid, member.gid) for member in members} == {(0, 0, 0)}


def test_the_checksums_are_those_of_the_files(project: Project) -> None:
    project.build()
    site = project.root / "site"
    for line in (site / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((site / name).read_bytes()).hexdigest() == digest
    with tarfile.open(site / "documentation.tar.gz") as archive:
        assert archive.getnames() == ["README.html", "SHA256SUMS", "docs/guide.html"]


def test_links_lead_to_pages_and_headings_have_their_anchors(project: Project) -> None:
    project.build()
    page = (project.root / "site/README.html").read_text()
    assert '<a href="docs/guide.html#second-steps">' in page
    assert '<h2 id="second-steps">' in (project.root / "site/docs/guide.html").read_text()


def test_the_outline_is_a_tree(project: Project) -> None:
    outline = project.build()["outline"]
    (guide,) = outline["docs/guide.md"]
    assert guide["text"] == "Guide"
    assert [node["anchor"] for node in guide["below"]] == ["first-steps", "second-steps"]


@pytest.mark.parametrize(
    ("phase", "content", "said"),
    [
        ("outline", b"# A\n\nna\xefve\n", "docs/bad.md:3: expected UTF-8, found byte 0xef"),
        ("lint", "# A\n\n### C\n", "docs/bad.md:3: heading level 3 after level 1"),
        ("lint", "# A\n\n```py\nx = 1\n", "docs/bad.md:3: the code fence ``` is never closed"),
        ("links", "# A\n\n[b](b.md)\n", "docs/bad.md:3: b.md: no such file"),
        ("links", "# A\n\n[b](guide.md#third)\n", "docs/guide.md has no heading"),
        ("links", "# A\n\n![b](/etc/passwd)\n", "leads out of the project"),
        ("links", "# A\n\n[b](../../x)\n", "leads out of the project"),
    ],
)
def test_a_broken_input_fails_its_phase_and_ends_the_build(
    project: Project, phase: str, content: str | bytes, said: str
) -> None:
    project.write("docs/bad.md", content)
    reporter = Collected()
    with pytest.raises(PipelineError) as failed:
        project.build(reporter)
    assert said in str(failed.value)
    assert failed.value.exit_code is ExitCode.BROKEN
    last = reporter.events[-1]
    assert (last["type"], last["phase"], last["error"]) == (
        "phase_failed",
        phase,
        str(failed.value),
    )
    assert [event["phase"] for event in of_type(reporter.events, "phase_start")] == NAMES[
        : NAMES.index(phase) + 1
    ]


def test_a_failed_build_leaves_the_pages_of_the_one_before(project: Project) -> None:
    project.build()
    before = (project.root / "site/README.html").read_bytes()
    project.write("docs/bad.md", "# A\n\n```\n")
    with pytest.raises(PipelineError):
        project.build()
    assert (project.root / "site/README.html").read_bytes() == before


def test_warnings_fail_a_strict_build_only(project: Project) -> None:
    project.write("docs/long.md", "# Long\n\n" + "word " * 30 + "\n")
    assert {finding.rule for finding in project.build()["lint"]} == {
        "line-length",
        "trailing-spaces",
    }
    with pytest.raises(PipelineError, match="line-length"):
        project.build(strict=True)


def test_a_folder_that_is_not_its_own_is_left_alone(project: Project) -> None:
    project.write("site/photos/cat.jpg", "meow")
    with pytest.raises(UsageError, match="did not make"):
        project.build()
    assert (project.root / "site/photos/cat.jpg").read_text() == "meow"


@pytest.mark.parametrize(
    ("sources", "said"),
    [(["none.md"], "no such file"), (["../.."], "outside"), (["empty"], "no Markdown file")],
)
def test_sources_that_cannot_be_built_are_named(
    project: Project, sources: list[str], said: str
) -> None:
    (project.root / "empty").mkdir()
    with pytest.raises(UsageError, match=said):
        find_sources(project.root, sources)


def test_an_empty_document_is_built_like_any_other(project: Project) -> None:
    project.write("docs/empty.md", "")
    assert "docs/empty.md" in project.build()["write"]


def test_the_projects_own_documents_are_whole(tmp_path: Path) -> None:
    build = Build(
        root=ROOT,
        sources=find_sources(ROOT, DEFAULT_SOURCES),
        output=tmp_path / "site",
        strict=False,
    )
    results = dict(run(build, Collected()))
    assert list(results) == NAMES
