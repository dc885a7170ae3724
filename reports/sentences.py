"""Looks for each claim's sentence in the document that makes it, under the heading it belongs to.

A claim whose sentence is gone is judged for nobody; a sentence that was reworded may claim more
than is judged.
"""

import re
from collections.abc import Iterable

from monitor.contract.claims import Claim
from reports.outline import Outline

_MARKS = re.compile(r"[*_`]")
_ITEM = re.compile(r"^\s*(?:[-*+>]|\d+[.)])\s+", re.MULTILINE)


def misplaced(claims: Iterable[Claim], document: str) -> tuple[str, ...]:
    """Return one line for each claim whose sentence does not stand where it should.

    Line breaks, emphasis and code marks do not count; every other character does.
    """
    outline = Outline(document)
    return tuple(problem for claim in claims if (problem := _problem(claim, outline)) is not None)


def _problem(claim: Claim, outline: Outline) -> str | None:
    sentence = _plain(claim.sentence)
    if claim.section:
        places = outline.sections(claim.section)
        if not places:
            close = outline.closest(claim.section)
            hint = f"; did you mean {close!r}?" if close else ""
            return f"claim {claim.id!r}: no heading {claim.section!r} in the document{hint}"
        if any(sentence in _plain(place.text) for place in places):
            return None
        lines = ", ".join(str(place.line) for place in places)
        where = f"under {claim.section!r} (line {lines})"
    else:
        if sentence in _plain(outline.text):
            return None
        where = "in the document"
    return f"claim {claim.id!r}: its sentence does not stand {where}: {claim.sentence!r}"


def _plain(text: str) -> str:
    return " ".join(_MARKS.sub("", _ITEM.sub("", text)).split())
