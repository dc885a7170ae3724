import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.pipeline.documents import blocks, parse
from scripts.pipeline.phases import lint


def lines(rule: str, text: str) -> list[int]:
    return [finding.line for finding in getattr(lint, rule)(parse("a.md", text))]


@pytest.mark.parametrize(
    ("rule", "text", "found"),
    [
        ("heading_levels", "# A\n## B\n### C\n# D\n", []),
        ("heading_levels", "## A\n", [1]),
        ("heading_levels", "# A\n\n# B\n\n### C\n#### D\n", [5]),
        ("heading_levels", "---\ntitle: A\nwords: 2\n---\n# A\n### C\n", [6]),
        ("heading_levels", "---\r\ntitle: A\r\n---\r\n# A\r\n", []),
        ("heading_levels", "---\n---\n# A\n", []),
        ("heading_levels", "\ufeff---\ntitle: A\n---\n# A\n", []),
        ("heading_levels", "---\ntitle: A\n...\n# A\n### C\n\n---\n", [5]),
        ("heading_levels", "# A\n---\n### C\n---\n", [3]),
        ("closed_fences", "```\na\n```\n", []),
        ("closed_fences", "~~~~\n```\n~~~~\n", []),
        ("closed_fences", "> ```\n> a\n> ```\n", []),
        ("closed_fences", "- b\n  ```\n  a\n", [2]),
        ("closed_fences", "```\n", [1]),
        ("closed_fences", "````\na\n```\n", [1]),
        ("trailing_spaces", "a  \nb\n", []),
        ("trailing_spaces", "a \nb   \n  \nc\t\n", [1, 2, 3, 4]),
        ("final_newline", "a\n", []),
        ("final_newline", "", []),
        ("final_newline", "a", [1]),
        ("final_newline", "a\nb\n\n\n", [2]),
        ("tabs", "a\tb\n\n    \tcode\n\n```\n\tcode\n```\n", [1]),
        ("line_length", "word " * 20 + "\n", []),
        ("line_length", "word " * 21 + "\n", [1]),
        ("line_length", "https://example.org/" + "x" * 100 + "\n", []),
        ("line_length", "- https://example.org/" + "x" * 100 + "\n", []),
        ("line_length", "| " + "word " * 30 + "|\n|---|\n", []),
        ("line_length", "```\n" + "word " * 30 + "\n```\n", []),
    ],
)
def test_a_rule_finds_what_it_is_for_and_nothing_else(
    rule: str, text: str, found: list[int]
) -> None:
    assert lines(rule, text) == found


@given(st.text(alphabet="# `~>-*|\n\tab[](x)1.  ", max_size=200))
def test_no_text_breaks_the_linter_or_loses_a_block(text: str) -> None:
    made = parse("a.md", text)
    for rule in lint.RULES:
        for finding in rule(made):
            assert 1 <= finding.line <= len(made.lines)
    assert [token for block in blocks(made.tokens) for token in block] == list(made.tokens)


def test_headings_that_read_the_same_have_anchors_of_their_own() -> None:
    made = parse("a.md", "# A b\n## A `b`\n## Été — (x)!\n")
    assert [heading.anchor for heading in made.headings] == ["a-b", "a-b-1", "été--x"]
