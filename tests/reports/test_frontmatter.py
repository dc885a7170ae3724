import pytest

from reports.frontmatter import count_words, keys, with_values

FRONT = """---
chap: 3
title: "On words: a # in it"
words_target: 2000
words: 1   # counted
status: draft
---
"""


def test_only_the_named_keys_change_and_comments_and_order_stay():
    text = FRONT + "words: 9\n"
    assert with_values(text, {"words": "42"}) == text.replace("words: 1 ", "words: 42 ")


def test_a_key_that_is_not_there_is_not_added():
    assert with_values(FRONT, {"evidence_runs": "[r]"}) == FRONT
    assert with_values("no front matter\nwords: 1\n", {"words": "2"}).endswith("words: 1\n")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_a_bom_are_kept(end):
    text = "\ufeff" + FRONT.replace("\n", end)
    assert with_values(text, {"words": "7"}) == text.replace("words: 1 ", "words: 7 ")


def test_an_empty_value_is_filled():
    assert with_values("---\nwords:\n---\n", {"words": "7"}) == "---\nwords: 7\n---\n"


def test_the_keys_are_those_at_the_left_margin():
    assert keys("---\na: 1\nb:\n  c: 2\n---\nd: 3\n") == {"a", "b"}


def test_words_are_counted_as_a_reader_reads_them():
    text = FRONT + (
        "# A heading\n\nTwo *words* – `code` [a link](http://x.y/z).\n\n"
        "<!-- not this -->\n\n```\nnor this\n```\n\n![alt text](no.png)\n\n"
        "| cell | 42 |\n| --- | --- |\n| b | <5 |\n\n- item\n"
    )
    # A heading(2) Two words code a link(5) alt text(2) cell 42 b <5(4) item(1)
    assert count_words(text) == 14
