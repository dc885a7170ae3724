"""The headings of a Markdown document and what stands under each, with line numbers."""

import difflib
import re
from dataclasses import dataclass

from markdown_it import MarkdownIt

_BREAK = re.compile(r"\r\n|\n|\r")
_FRONT = "---"
_PARSER = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True, slots=True)
class Place:
    """One heading: its text, level (1 to 6), line (from 1), and the text up to the next alike."""

    heading: str
    level: int
    line: int
    text: str


def split_lines(text: str) -> list[str]:
    """Return the lines with their endings, as Markdown counts them: LF, CRLF or CR ends one."""
    ends = [match.end() for match in _BREAK.finditer(text)]
    starts = [0, *ends]
    return [
        text[start:end]
        for start, end in zip(starts, [*ends, len(text)], strict=True)
        if start < end
    ]


def front_matter(lines: list[str]) -> int:
    """Return how many lines the YAML front matter takes, its two rules included; 0 without one."""
    if not lines or lines[0].lstrip("\ufeff").rstrip() != _FRONT:
        return 0
    for number, line in enumerate(lines[1:], 2):
        if line.rstrip() in {_FRONT, "..."}:
            return number
    return 0


def body_of(text: str) -> str:
    """Return the document as a Markdown parser is to see it, every line in its old place.

    Front matter is blanked, line ends are LF, and the byte order mark is gone.
    """
    lines = split_lines(text)
    skipped = front_matter(lines)
    kept = "".join(_BREAK.sub("\n", line) for line in lines[skipped:])
    return ("\n" * skipped + kept).removeprefix("\ufeff")


def blocks(text: str) -> list[tuple[str, int, int, str]]:
    """Return the document's blocks: token type, first line, line after the last, and content.

    Lines count from 0. Front matter is no block.
    """
    return [
        (token.type, token.map[0], token.map[1], token.content)
        for token in _PARSER.parse(body_of(text))
        if token.map is not None
    ]


class Outline:
    """A document by its headings. `text` is all of it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.places = tuple(_places(text))

    def sections(self, heading: str) -> tuple[Place, ...]:
        """Return the sections with that heading; case and emphasis do not count."""
        wanted = _folded(heading)
        return tuple(one for one in self.places if _folded(one.heading) == wanted)

    def closest(self, heading: str) -> str | None:
        """Return the heading most like `heading`, if one is."""
        known = [place.heading for place in self.places]
        close = difflib.get_close_matches(heading, known, n=1)
        return close[0] if close else None

    def heading_at(self, line: int) -> str:
        """Return the nearest heading at or before `line` (from 1), or an empty text."""
        before = [place.heading for place in self.places if place.line <= line]
        return before[-1] if before else ""


def _places(text: str) -> list[Place]:
    lines = split_lines(text)
    found: list[tuple[int, int, str]] = []
    tokens = blocks(text)
    for number, (kind, start, _, _) in enumerate(tokens):
        if kind == "heading_open":
            level = _level(lines[start])
            found.append((start, level, tokens[number + 1][3].strip()))
    places = []
    for number, (start, level, heading) in enumerate(found):
        after = (at for at, other, _ in found[number + 1 :] if other <= level)
        end = next(after, len(lines))
        places.append(Place(heading, level, start + 1, "".join(lines[start:end])))
    return places


def _level(line: str) -> int:
    marks = re.match(r"\s{0,3}(#{1,6})(?:\s|$)", line.lstrip("\ufeff"))
    return len(marks[1]) if marks else 2  # underlined: `===` and `---` are told as one level


def _folded(heading: str) -> str:
    return " ".join(re.sub(r"[*_`]", "", heading).split()).casefold()
