"""Adopting a chapter whole: claims file, markers and what is refreshed at once."""

from textwrap import dedent

import pytest

from monitor.contract.claims import load_claims
from monitor.contract.verdicts import StaleError, UsageError
from reports.runs import Evidence
from scripts.adopting import adopt_chapter
from tests.reports import synthetic

TABLE = dedent(
    """\
    # Results

    | Metric | Value |
    |---|---|
    | Max concurrent clients | 50 |
    | Average latency | <5ms |
    """
)
PICTURE = "\n![What memory it takes](<img/ch3 memory.png>)\n"


@pytest.fixture
def place(tmp_path, run_of):
    synthetic.renamed(run_of(synthetic.QUICK).path, tmp_path / "runs" / synthetic.RUN_ID)
    return tmp_path / "ch.md"


def adopted(file, claims, **options):
    evidence, where = Evidence([file.parent / "runs"]), file.parent / "claims.toml"
    flags = {"dry_run": False, "force": False, **options}
    return adopt_chapter(file, evidence, where, (claims, None), **flags)


def test_a_chapter_that_claims_nothing_is_given_no_claims_file(place, claims):
    place.write_text("# Words\n" + PICTURE)
    adopted(place, claims)
    assert "<!-- BEGIN wsproof:memory-cpu run=" in place.read_text()
    assert (place.parent / "img" / "ch3 memory.png").is_file()
    assert not (place.parent / "claims.toml").exists()


def test_adopting_more_keeps_what_was_adopted_and_its_claims(place, claims):
    place.write_text(TABLE)
    adopted(place, claims)
    file, once = place.parent / "claims.toml", place.read_text()
    before = file.read_bytes()
    place.write_text(once + PICTURE)
    made = adopted(place, claims)
    assert made.without == ()
    assert place.read_text().startswith(once)
    assert file.read_bytes() == before
    (picture,) = made.pictures
    assert "claimed" not in picture.plot.title  # the chapter claims nothing of memory
    assert [one.id for one in load_claims(file)] == ["concurrent-clients", "average-latency"]


def test_adopting_again_changes_nothing_and_says_so(place, claims, capsys):
    place.write_text(TABLE)
    adopted(place, claims)
    once = place.read_text()
    capsys.readouterr()
    adopted(place, claims)
    assert place.read_text() == once
    said = capsys.readouterr()
    assert (said.out, "nothing to adopt beside the regions it has" in said.err) == ("", True)


def test_adopting_more_does_not_replace_what_was_edited_by_hand_unless_forced(place, claims):
    place.write_text(TABLE)
    adopted(place, claims)
    once = place.read_text()
    place.write_text(once.replace("50 held", "60 held") + PICTURE)
    with pytest.raises(StaleError, match="edited by hand"):
        adopted(place, claims)
    assert "60 held" in place.read_text()
    adopted(place, claims, force=True)
    assert place.read_text().startswith(once)


def test_a_bound_that_differs_from_the_claims_file_is_refused_before_anything_is_written(
    place, claims
):
    place.write_text(TABLE)
    adopted(place, claims)
    other = TABLE.replace("<5ms", "<6ms")
    place.write_text(other)
    with pytest.raises(UsageError, match="claim 'average-latency' says '<5ms', the document '<6ms"):
        adopted(place, claims)
    assert place.read_text() == other


@pytest.mark.parametrize(
    ("faulty", "says"),
    [
        (TABLE + "| Uptime | |\n", "the text 'Uptime' and the value '' .* `claimed` is empty"),
        (TABLE + "| | continued |\n", "the text '' and the value 'continued' .* `label` is empty"),
        (TABLE + "\n1. ✅\n2. ✅ Tokens are checked on every message\n", "`label` is empty"),
        (TABLE + "| Up\udcfftime | soon |\n", "expected UTF-8"),
        (TABLE + f"| Memory | < {'9' * 400} MB |\n", "`bound` is inf"),
    ],
)
def test_what_no_claims_file_may_hold_is_refused_before_anything_is_written(
    place, claims, faulty, says
):
    place.write_bytes(faulty.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=rf"ch.md: under 'Results': .*{says}"):
        adopted(place, claims)
    assert place.read_bytes() == faulty.encode("utf-8", "surrogateescape")
    assert not (place.parent / "claims.toml").exists()


def test_a_claims_file_can_be_loaded_whatever_stands_in_the_document(place, claims):
    row = '| Up\x7ftime "so" \\\\ far | \x1b soon |\n'
    place.write_text(TABLE + row)
    adopted(place, claims)
    assert load_claims(place.parent / "claims.toml")[-1].label.startswith("Up\x7ftime")
