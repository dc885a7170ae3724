"""`wsproof report chapter` as a command: what it prints where, and how it ends."""

import pytest

from tests.reports import synthetic

CHAPTER = """\
# What it carries

| Metric | Value |
|---|---|
| Max concurrent clients | 50 |
| Average latency | <5ms |

It also does other things.
"""


@pytest.fixture
def chapter(wsproof):
    return lambda file, *options: wsproof(
        "report", "chapter", file, "--runs", file.parent / "runs", *options
    )


def test_a_chapter_lives_from_adoption_to_a_broken_claim(tmp_path, chapter):
    synthetic.write_run(tmp_path / "runs", synthetic.QUICK)
    file = tmp_path / "ch.md"
    file.write_text(CHAPTER)

    shown = chapter(file, "--adopt", "--dry-run")
    assert shown.returncode == 0
    assert "+<!-- BEGIN wsproof:load run=" in shown.stdout
    assert file.read_text() == CHAPTER
    assert not (tmp_path / "claims.toml").exists()

    assert chapter(file, "--adopt").returncode == 0
    text = file.read_text()
    assert "| Max concurrent clients | 50 held (claimed 50) |" in text
    assert text.endswith("It also does other things.\n")
    assert chapter(file, "--check").returncode == 0

    file.write_text(text.replace("50 held", "70 held"))
    checked = chapter(file, "--check")
    assert checked.returncode == 4
    assert "-| Max concurrent clients | 70 held (claimed 50) |" in checked.stdout
    assert "refresh it with `wsproof report chapter" in checked.stderr
    refused = chapter(file)
    assert refused.returncode == 4
    assert "edited by hand" in refused.stderr
    assert chapter(file, "--force").returncode == 0
    assert file.read_text() == text

    current = chapter(file, "--check", "--current")
    assert current.returncode == 4
    assert "measured other code than today's" in current.stderr

    claims = tmp_path / "claims.toml"
    claims.write_text(claims.read_text().replace("bound = 5000", "bound = 50"))
    broken = chapter(file, "--check")
    assert broken.returncode == 1
    assert "FALSE: Average latency" in broken.stderr


def test_a_check_tells_a_region_that_was_never_filled_from_one_without_evidence(tmp_path, chapter):
    synthetic.write_run(tmp_path / "runs", synthetic.QUICK)
    file = tmp_path / "ch.md"
    file.write_text("<!-- BEGIN wsproof:memory -->\n<!-- END wsproof:memory -->\n")
    checked = chapter(file, "--check")
    assert checked.returncode == 3
    assert "the region memory was never filled" in checked.stderr
    assert chapter(file).returncode == 0
    assert chapter(file, "--check").returncode == 0


def test_flags_that_exclude_each_other_and_chapters_with_nothing_to_adopt_are_told(
    tmp_path, chapter
):
    file = tmp_path / "ch.md"
    file.write_text("# Words\n")
    assert chapter(file, "--check", "--force").returncode == 2
    assert chapter(file, "--current").returncode == 2
    nothing = chapter(file, "--adopt")
    assert nothing.returncode == 3
    assert "found no metric table, check list or picture to adopt" in nothing.stderr
