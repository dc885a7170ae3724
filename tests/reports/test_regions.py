"""Marked regions: found where they are, refused where misplaced, and nothing else moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.contract.verdicts import UsageError
from reports.regions import (
    begin_marker,
    digest,
    end_marker,
    find_regions,
    refreshed,
    replace_regions,
)

BEGIN, END = "<!-- BEGIN wsproof:load -->", "<!-- END wsproof:load -->"


def find(text):
    return find_regions(text, "ch.md")


def test_a_region_is_its_name_attributes_lines_and_place():
    (region,) = find("a\n\n<!-- BEGIN wsproof:load run=r1,r2 sha256=ab -->\nx\ny\n" + END + "\n")
    assert (region.name, region.line, region.body) == ("load", 3, "x\ny\n")
    assert region.runs == ("r1", "r2")
    assert region.edited


def test_a_region_nobody_edited_has_the_digest_of_its_lines_whatever_ends_them():
    marker = f"<!-- BEGIN wsproof:load sha256={digest('x' + chr(10))} -->"
    for end in ("\n", "\r\n", "\r"):
        (region,) = find(f"{marker}{end}x{end}{END}{end}")
        assert not region.edited
        assert region.runs == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"x\n\n{BEGIN}\ny\n", "line 3: the region load never ends"),
        (f"x\n\n{END}\n", "line 3: END wsproof:load without a BEGIN"),
        (f"{END}\n{BEGIN}\n", "line 1: END wsproof:load without a BEGIN"),
        (
            f"{BEGIN}\n{BEGIN}\n{END}\n",
            "line 2: BEGIN wsproof:load inside the region load.* line 1",
        ),
        (f"{BEGIN}\n<!-- BEGIN wsproof:x -->\n", "line 2: BEGIN wsproof:x inside the region load"),
        (
            f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n",
            "line 3: the region load stands twice, first on line 1",
        ),
        (f"{BEGIN}\n<!-- END wsproof:x -->\n", "line 2: END wsproof:x, but the region.* is load"),
        (f"text {BEGIN}\n{END}\n", "line 1: a wsproof marker needs a line of its own"),
        (f"x\n\n{BEGIN} trailing\n", "line 3: not a marker of the form"),
        ("<!-- BEGIN wsproof -->\n", "line 1: not a marker of the form"),
        ("<!-- BEGIN wsproof:Load -->\n", "line 1: region name 'Load': expected small letters"),
        ("<!-- BEGIN wsproof:load run -->\n", "line 1: marker attribute 'run': expected key=value"),
        ("<!-- BEGIN wsproof:load a=1 a=2 -->\n", "line 1: marker attribute 'a' stands twice"),
    ],
)
def test_a_misplaced_marker_is_named_with_its_line(text, says):
    with pytest.raises(UsageError, match="ch.md: " + says):
        find(text)


@pytest.mark.parametrize(
    "text",
    [
        f"```\n{BEGIN}\n```\n",
        f"~~~~ markdown\n{BEGIN}\n~~~\n{END}\n~~~~\n",
        f"    {BEGIN}\n",
        f"- item\n\n  ```\n  {BEGIN}\n  ```\n",
        f"> ```\n> {BEGIN}\n> ```\n",
        f"`{BEGIN}` in code\n",
        f"---\nnote: '{BEGIN}'\n---\n",
        "<!-- BEGIN other:load -->\n",
    ],
)
def test_markers_in_code_and_front_matter_are_no_markers(text):
    assert find(text) == ()


def test_a_region_right_after_a_paragraph_table_or_list_is_found():
    text = f"words\n{BEGIN}\n| a |\n| - |\n| b |\n{END}\n1. one\n" + BEGIN.replace("load", "x")
    assert [one.name for one in find(text + "\n" + END.replace("load", "x"))] == ["load", "x"]


LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
# No backtick or tilde: a fence opened in what stands before would hide the region, rightly.
OUTSIDE = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="`~<\x00"), max_size=60
).filter(lambda text: not text.startswith("---"))


@given(OUTSIDE, OUTSIDE, LINE_ENDS, st.booleans(), st.lists(st.text("ab |€", max_size=8)))
def test_everything_outside_a_region_stays_byte_for_byte(before, after, end, bom, lines):
    text = f"{before}{end}{end}{BEGIN}{end}old{end}{END}{end}{after}"
    text = "\ufeff" + text if bom else text
    (region,) = find(text)
    body = "".join(f"{line}\n" for line in lines)
    new = refreshed(region, body, ("r1",), {"figure": "f"})
    changed = replace_regions(text, [new])
    head, _, rest = text.partition(BEGIN)
    tail = rest[rest.index(END) :]
    assert changed.startswith(head)
    assert changed.endswith(tail)
    inside = changed[len(head) : len(changed) - len(tail)]
    assert inside == begin_marker("load", new.attributes) + end + body.replace("\n", end)
    assert find(changed)[0].edited is False


@given(OUTSIDE)
def test_a_region_replaced_by_itself_changes_nothing(outside):
    text = f"{outside}\n\n{BEGIN}\r\nx\r\n{END}"
    assert replace_regions(text, find(text)) == text


def test_the_last_line_needs_no_end_and_a_bom_before_the_first_marker_is_kept():
    text = f"\ufeff{BEGIN}\nx\n{END}"
    (region,) = find(text)
    changed = replace_regions(text, [refreshed(region, "y\n", (), {})])
    assert changed.startswith("\ufeff<!-- BEGIN wsproof:load run=none sha256=")
    assert changed.endswith(f"\ny\n{END}")


def test_the_end_marker_says_its_name():
    assert end_marker("load") == END
