import pytest

from monitor.contract.claims import Claim
from reports.outline import Outline
from reports.sentences import misplaced

DOCUMENT = """\
---
title: x
---
# Monitoring

Idle connections
*time out*.

## Load

```
# Not a heading
```

- It serves **50** clients. Fast.

### Deeper

Underneath.

Setext
------

Else.
"""


def claim(sentence, section=""):
    return Claim(
        id="c", label="L", claimed="x", sentence=sentence, section=section, unmeasured="test"
    )


@pytest.mark.parametrize(
    ("sentence", "section"),
    [
        ("Idle connections time out.", ""),
        ("It serves 50 clients.", "Load"),
        ("It serves 50 clients.", "load"),
        ("Underneath.", "Load"),
        ("Idle connections time out.", "Monitoring"),
        ("Else.", "Setext"),
    ],
)
def test_a_sentence_is_found_across_line_breaks_and_emphasis(sentence, section):
    assert misplaced([claim(sentence, section)], DOCUMENT) == ()


def test_a_sentence_that_was_reworded_is_named_with_its_place():
    (said,) = misplaced([claim("It serves 60 clients.", "Load")], DOCUMENT)
    assert said == (
        "claim 'c': its sentence does not stand under 'Load' (line 9): 'It serves 60 clients.'"
    )


def test_a_sentence_under_another_heading_does_not_count():
    assert misplaced([claim("Else.", "Load")], DOCUMENT) != ()


def test_a_heading_that_is_gone_is_named_with_the_closest():
    (said,) = misplaced([claim("Else.", "Loads")], DOCUMENT)
    assert "no heading 'Loads' in the document; did you mean 'Load'?" in said


def test_headings_have_lines_and_levels_and_fences_hold_none():
    found = [(one.heading, one.level, one.line) for one in Outline(DOCUMENT).places]
    assert found == [("Monitoring", 1, 4), ("Load", 2, 9), ("Deeper", 3, 17), ("Setext", 2, 21)]
    assert Outline(DOCUMENT).heading_at(15) == "Load"


def test_of_sections_with_one_heading_any_may_hold_the_sentence():
    text = "# A\n\n## Results\n\nWords.\n\n# B\n\n## Results\n\nIt is fast.\n"
    assert misplaced([claim("It is fast.", "Results")], text) == ()
    (problem,) = misplaced([claim("It is slow.", "Results")], text)
    assert "does not stand under 'Results' (line 3, 9)" in problem
