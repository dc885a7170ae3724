"""Looks for what is wrong with the text itself. A rule is one function; RULES lists them.

An error breaks the reader's page and fails the phase. A warning is reported, and fails it only
in a strict build.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from scripts.pipeline.build import Build, Progress
from scripts.pipeline.documents import Document, PipelineError, blocks

#: Longest line of prose, in characters: the width the project's code has.
LONGEST_LINE = 100
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong, at a line counted from 1."""

    document: str
    line: int
    rule: str
    severity: Literal["error", "warning"]
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}: {self.text} ({self.rule})"


def lint(build: Build, progress: Progress) -> list[Finding]:
    """Apply every rule to every document; return the findings in order.

    Raises:
        PipelineError: there is an error, or in a strict build a warning.
    """
    progress.expect(sum(1 for document in build.documents for _ in blocks(document.tokens)))
    findings: list[Finding] = []
    for document in build.documents:
        found = sorted(
            (finding for rule in RULES for finding in rule(document)), key=lambda f: f.line
        )
        for block in blocks(document.tokens):
            start, end = _extent(block[0].map)
            count = sum(start < finding.line <= end for finding in found)
            progress.step(f"{document.name}:{start + 1}: {count or 'no'} findings")
        findings += found
    broken = [f for f in findings if build.strict or f.severity == "error"]
    if broken:
        shown = "; ".join(map(str, broken[:_SHOWN]))
        more = f"; and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
        raise PipelineError(f"{len(broken)} lint errors: {shown}{more}")
    return findings


def heading_levels(document: Document) -> Iterator[Finding]:
    """A heading is at most one level below the one before it (WCAG 2.2 technique G141)."""
    level = 0
    for heading in document.headings:
        if heading.level > level + 1:
            text = f"heading level {heading.level} after level {level}; expected {level + 1}"
            yield Finding(document.name, heading.line, "heading-levels", "error", text)
        level = heading.level


def closed_fences(document: Document) -> Iterator[Finding]:
    """A code fence is closed: an open one swallows the rest of the page."""
    lines = document.lines
    for token in document.tokens:
        if token.type != "fence":
            continue
        start, end = _extent(token.map)
        last = lines[end - 1].strip(" \t>")
        closed = end - start > 1 and last.startswith(token.markup) and not last.strip(last[0])
        if not closed:
            text = f"the code fence {token.markup} is never closed"
            yield Finding(document.name, start + 1, "closed-fences", "error", text)


def trailing_spaces(document: Document) -> Iterator[Finding]:
    """No line ends in spaces, except two after text: a line break in Markdown."""
    for number, line in enumerate(document.lines, 1):
        text = line.rstrip(" \t\r")
        if line != text and not (text and line == text + "  "):
            yield Finding(
                document.name, number, "trailing-spaces", "warning", "spaces at the line's end"
            )


def final_newline(document: Document) -> Iterator[Finding]:
    """A text file ends in one newline."""
    text = document.text
    if text and (not text.endswith("\n") or text.endswith("\n\n")):
        line = len(text.rstrip("\n").split("\n"))
        yield Finding(
            document.name, line, "final-newline", "warning", "expected one newline at the end"
        )


def tabs(document: Document) -> Iterator[Finding]:
    """No tabs outside code: their width is the reader's."""
    for number, line in _prose(document):
        if "\t" in line:
            yield Finding(document.name, number, "tabs", "warning", "a tab outside code")


def line_length(document: Document) -> Iterator[Finding]:
    """Prose is wrapped. Tables, headings, and a line that is one long word are let be."""
    for number, line in _prose(document):
        breakable = " " in line.strip()[: LONGEST_LINE - 1].lstrip("-*>0123456789.").strip()
        structural = line.lstrip().startswith(("|", "#"))
        if len(line) > LONGEST_LINE and breakable and not structural:
            text = f"{len(line)} characters; expected at most {LONGEST_LINE}"
            yield Finding(document.name, number, "line-length", "warning", text)


RULES: tuple[Callable[[Document], Iterator[Finding]], ...] = (
    heading_levels,
    closed_fences,
    trailing_spaces,
    final_newline,
    tabs,
    line_length,
)


def _prose(document: Document) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines outside code and raw HTML."""
    code: set[int] = set()
    for token in document.tokens:
        if token.type in {"fence", "code_block", "html_block"}:
            code.update(range(*_extent(token.map)))
    for index, line in enumerate(document.lines):
        if index not in code:
            yield index + 1, line


def _extent(lines: list[int] | None) -> tuple[int, int]:
    return (lines[0], lines[1]) if lines else (0, 0)
