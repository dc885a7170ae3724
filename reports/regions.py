"""Marked regions of a Markdown document: found, read and replaced, every other byte kept.

A region stands between two comments on lines of their own:

    <!-- BEGIN wsproof:NAME run=RUN sha256=DIGEST -->
    … generated …
    <!-- END wsproof:NAME -->

What is generated is the lines between them; `sha256` is the digest of those lines (with LF line
ends), so that an edit by hand shows. Comments inside fences, indented code and inline code are no
markers. Pure: text in, text out.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from monitor.contract.verdicts import UsageError
from reports.outline import blocks, split_lines

_MARKER = re.compile(
    r"<!--[ \t]*(?P<edge>BEGIN|END)[ \t]+wsproof:(?P<name>\S+)(?P<rest>[^\n]*?)[ \t]*-->"
)
_LIKE_MARKER = re.compile(r"<!--\s*(?:BEGIN|END)\s+wsproof", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"(?P<key>[a-z][a-z0-9-]*)=(?P<value>\S+)")
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

#: In `run=`: no evidence was there when the region was last refreshed.
NO_RUN = "none"


@dataclass(frozen=True, slots=True)
class Region:
    """One region: its name, the attributes of its BEGIN, its lines, and where they stand.

    `first` and `last` are the markers' lines, from 0; `body` is what stands between them, with
    LF line ends.
    """

    name: str
    attributes: Mapping[str, str]
    first: int
    last: int
    body: str

    @property
    def runs(self) -> tuple[str, ...]:
        """The ids of the runs it was made from, none if it never was."""
        named = self.attributes.get("run", NO_RUN)
        return () if named == NO_RUN else tuple(named.split(","))

    @property
    def edited(self) -> bool:
        """Whether someone changed the lines between the markers since they were generated."""
        return "sha256" in self.attributes and self.attributes["sha256"] != digest(self.body)

    @property
    def line(self) -> int:
        """The line of its BEGIN, from 1."""
        return self.first + 1


def digest(body: str) -> str:
    """Return the SHA-256 of a region's lines, in hexadecimal."""
    return hashlib.sha256(body.encode("utf-8", "surrogateescape")).hexdigest()


def begin_marker(name: str, attributes: Mapping[str, str]) -> str:
    """Return the comment a region begins with."""
    words = "".join(f" {key}={value}" for key, value in attributes.items())
    return f"<!-- BEGIN wsproof:{name}{words} -->"


def end_marker(name: str) -> str:
    """Return the comment a region ends with."""
    return f"<!-- END wsproof:{name} -->"


def find_regions(text: str, source: str) -> tuple[Region, ...]:
    """Return the regions of a document in order; `source` names it in errors.

    Raises:
        UsageError: a marker is missing, doubled, nested, reversed or malformed; names the line.
    """
    lines = split_lines(text)
    found: list[Region] = []
    opened: tuple[str, dict[str, str], int] | None = None
    for number, match in _markers(text, lines, source):
        name, where = match["name"], f"{source}: line {number + 1}"
        if not _NAME.fullmatch(name):
            raise UsageError(f"{where}: region name {name!r}: expected small letters and dashes")
        if match["edge"] == "BEGIN":
            if opened is not None:
                raise UsageError(
                    f"{where}: BEGIN wsproof:{name} inside the region {opened[0]}, which began on"
                    f" line {opened[2] + 1}; end that one before it"
                )
            if any(region.name == name for region in found):
                first = next(region.line for region in found if region.name == name)
                raise UsageError(
                    f"{where}: the region {name} stands twice, first on line {first}; remove one"
                )
            opened = name, _attributes(match["rest"], where), number
            continue
        if opened is None:
            raise UsageError(
                f"{where}: END wsproof:{name} without a BEGIN before it; put"
                f" `{begin_marker(name, {})}` above, or remove it"
            )
        if opened[0] != name:
            raise UsageError(
                f"{where}: END wsproof:{name}, but the region that began on line {opened[2] + 1}"
                f" is {opened[0]}; end it with `{end_marker(opened[0])}`"
            )
        body = "".join(_with_lf(line) for line in lines[opened[2] + 1 : number])
        found.append(Region(name, opened[1], opened[2], number, body))
        opened = None
    if opened is not None:
        raise UsageError(
            f"{source}: line {opened[2] + 1}: the region {opened[0]} never ends; put"
            f" `{end_marker(opened[0])}` below it"
        )
    return tuple(found)


def replace_regions(text: str, changed: Sequence[Region]) -> str:
    """Return the text with these regions' BEGIN markers and bodies as given, all else untouched.

    A region's lines end as its BEGIN line does.
    """
    lines = split_lines(text)
    for region in sorted(changed, key=lambda one: one.first, reverse=True):
        old = lines[region.first]
        ending = old[len(old.rstrip("\r\n")) :]
        indent = old[: len(old) - len(old.lstrip(" \t"))]
        begin = indent + begin_marker(region.name, region.attributes) + ending
        begin = _keep_bom(old, begin)
        body = [line[:-1] + ending for line in split_lines(region.body)]
        lines[region.first : region.last] = [begin, *body]
    return "".join(lines)


def refreshed(region: Region, body: str, runs: Sequence[str], extra: Mapping[str, str]) -> Region:
    """Return the region with new lines and the attributes that belong to them.

    Raises:
        ValueError: `body` does not end with a line end; the END marker would follow its text.
    """
    if body and not body.endswith("\n"):
        raise ValueError("a region's body ends with a line end")
    attributes = {"run": ",".join(runs) or NO_RUN, "sha256": digest(body), **extra}
    return replace(region, attributes=attributes, body=body)


def _markers(text: str, lines: list[str], source: str) -> list[tuple[int, re.Match[str]]]:
    found = []
    for kind, start, end, content in blocks(text):
        if kind == "html_block":
            found += _in_html(lines, start, end, source)
        elif kind == "inline" and _stray(content):
            line = next(at for at in range(start, end) if _LIKE_MARKER.search(lines[at]))
            raise UsageError(
                f"{source}: line {line + 1}: a wsproof marker needs a line of its own, flush left"
            )
    return found


def _in_html(
    lines: list[str], start: int, end: int, source: str
) -> list[tuple[int, re.Match[str]]]:
    found = []
    for number in range(start, min(end, len(lines))):
        line = lines[number].strip().lstrip("\ufeff")
        match = _MARKER.fullmatch(line)
        if match is not None:
            found.append((number, match))
        elif _LIKE_MARKER.search(line):
            raise UsageError(
                f"{source}: line {number + 1}: not a marker of the form"
                " `<!-- BEGIN wsproof:NAME … -->` alone on its line: " + repr(line)
            )
    return found


def _stray(content: str) -> bool:
    """Tell whether a paragraph holds a marker outside its inline code."""
    without_code = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", content, flags=re.DOTALL)
    return _LIKE_MARKER.search(without_code) is not None


def _attributes(rest: str, where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in rest.split():
        match = _ATTRIBUTE.fullmatch(word)
        if match is None:
            raise UsageError(f"{where}: marker attribute {word!r}: expected key=value")
        if match["key"] in found:
            raise UsageError(f"{where}: marker attribute {match['key']!r} stands twice")
        found[match["key"]] = match["value"]
    return found


def _with_lf(line: str) -> str:
    return line.rstrip("\r\n") + "\n"


def _keep_bom(old: str, new: str) -> str:
    return "\ufeff" + new.removeprefix("\ufeff") if old.startswith("\ufeff") else new
