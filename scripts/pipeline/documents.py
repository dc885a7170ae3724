"""Markdown documents: found, read, parsed, and the anchors their headings get.

Anchors follow what GitHub makes of headings, so that a link that works there works here.
"""

import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from monitor.contract.verdicts import ExitCode, UsageError, WsproofError
from reports.outline import body_of

#: What is built when nothing else is named, relative to the root.
DEFAULT_SOURCES = ("README.md", "CHANGELOG.md", "docs")

MARKDOWN = MarkdownIt("commonmark").enable("table")

_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


class PipelineError(WsproofError):
    """An input is broken: the phase that found it fails, and the pipeline ends there."""

    exit_code = ExitCode.BROKEN


@dataclass(frozen=True, slots=True)
class Heading:
    """One heading: its level 1–6, plain text, anchor, and line from 1."""

    level: int
    text: str
    anchor: str
    line: int


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed source. `name` is its path relative to the root, with forward slashes."""

    name: str
    text: str
    tokens: Sequence[Token]
    headings: tuple[Heading, ...]

    @property
    def lines(self) -> list[str]:
        """The text's lines without their line ends."""
        return self.text.split("\n")

    @property
    def title(self) -> str:
        """The text of the first heading, or the name."""
        return self.headings[0].text if self.headings else self.name


def find_sources(root: Path, sources: Iterable[str]) -> list[Path]:
    """Return the Markdown files the sources name: files, and folders with all below them.

    Raises:
        UsageError: a source is missing or outside the root, or there is nothing to build.
    """
    found: dict[Path, None] = {}
    for source in sources:
        path = Path(os.path.normpath(root / source))
        if not path.is_relative_to(root):
            raise UsageError(f"source {source}: lies outside the project {root}; pass --root DIR")
        if not path.exists():
            raise UsageError(f"source {source}: no such file or folder in {root}; pass --source")
        files = sorted(path.rglob("*.md")) if path.is_dir() else [path]
        found.update(dict.fromkeys(files))
    if not found:
        raise UsageError(f"sources {', '.join(sources)}: no Markdown file in {root}")
    return list(found)


def size(root: Path, path: Path) -> int:
    """Return a file's size in bytes, at least 1: even an empty file is work.

    Raises:
        PipelineError: it is not there any more, or cannot be looked at.
    """
    try:
        return max(path.stat().st_size, 1)
    except OSError as error:
        name = path.relative_to(root).as_posix()
        raise PipelineError(f"{name}: cannot be read: {error.strerror}") from error


def read(root: Path, path: Path) -> Document:
    """Read and parse one file.

    Raises:
        PipelineError: it cannot be read, or is not UTF-8 (with the line).
    """
    name = path.relative_to(root).as_posix()
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise PipelineError(f"{name}: cannot be read: {error.strerror}") from error
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise PipelineError(
            f"{name}:{line}: expected UTF-8, found byte 0x{raw[error.start]:02x}; save it as UTF-8"
        ) from error
    return parse(name, text)


def parse(name: str, text: str) -> Document:
    """Parse Markdown, without its front matter; every text is a document of some shape."""
    tokens = MARKDOWN.parse(body_of(text))
    return Document(name, text, tokens, tuple(_headings(tokens)))


def blocks(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Split a document's tokens into its top-level blocks: a heading, a paragraph, a list."""
    start = depth = 0
    for position, token in enumerate(tokens):
        depth += token.nesting
        if depth == 0:
            yield tokens[start : position + 1]
            start = position + 1


def _headings(tokens: Sequence[Token]) -> Iterator[Heading]:
    seen: Counter[str] = Counter()
    for opening, inline in itertools.pairwise(tokens):
        if opening.type != "heading_open":
            continue
        text = "".join(
            part.content for part in inline.children or () if part.type in {"text", "code_inline"}
        )
        anchor = _NOT_IN_ANCHORS.sub("", text.strip().lower()).replace(" ", "-")
        number = seen[anchor]
        seen[anchor] += 1
        line = (opening.map or [0])[0] + 1
        yield Heading(int(opening.tag[1]), text, f"{anchor}-{number}" if number else anchor, line)
