"""Turns a chapter written by hand into a living one: finds what can be kept true and marks it.

Only marker lines are added: every other byte stays. Tables and lists are told by heading and
shape, pictures by the name their link ends in. What is claimed becomes claims for a claims file.
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from markdown_it import MarkdownIt
from markdown_it.token import Token

from monitor.contract.claims import Claim
from reports.claimed import checklist_claims, is_metric, limit_claims, table_claims
from reports.outline import Outline, body_of, split_lines
from reports.regions import NO_RUN, begin_marker, digest, end_marker, find_regions

_PARSER = MarkdownIt("commonmark").enable("table")
_IMAGE = re.compile(
    r"!\[[^\]]*\]\(\s*(?:<(?P<angled>[^>\n]+)>|(?P<plain>[^)\s]+))"
    r"(?:\s+(?:\"[^\"]*\"|'[^']*'))?\s*\)"
)
_TICKED = re.compile(r"(?P<sign>✅|☑️?|✔️?|❌|⬜|\[[ xX]\])\s*(?P<text>.*)", re.DOTALL)
_METRIC_HEADING = re.compile(
    r"metric|measure|propert|parameter|aspect|figure|indicator", re.IGNORECASE
)

#: The whole words a picture's name ends in, and the figure it then stands for.
_FIGURES = (
    ("ch3-auth", r"auth(?:entication)?"),
    ("ch3-monitoring", r"monitoring|rate-?limit(?:s|ing)?|limits"),
    ("latency-percentiles", r"(?:latency-)?percentiles?|latency"),
    ("offered-delivered", r"throughput|offered|delivered"),
    ("memory-cpu", r"memory|cpu|resources?"),
    ("capacity-knee", r"capacity|knee"),
    ("security-matrix", r"security(?:-matrix)?"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that can be kept true: the region's name, its lines (from 0), and what it is."""

    region: str
    first: int
    last: int
    what: str


@dataclass(frozen=True, slots=True)
class Adoption:
    """A chapter with its markers, the claims found in it, and what was found where."""

    text: str
    claims: tuple[Claim, ...]
    found: tuple[Found, ...]


def adopt(text: str, source: str) -> Adoption:
    """Return the chapter with markers around whatever can be kept true.

    Regions that are there already stay as they are; adopting twice adds nothing.

    Raises:
        UsageError: a marker that is there already is misplaced.
    """
    regions = find_regions(text, source)
    taken = {region.name for region in regions}
    inside = {line for region in regions for line in range(region.first, region.last + 1)}
    outline = Outline(text)
    tokens = _PARSER.parse(body_of(text))
    found: list[Found] = []
    claims: list[Claim] = []
    for one, its_claims in [
        *_tables(tokens, outline),
        *_lists(tokens, outline),
        *_images(tokens, outline),
    ]:
        if one.region not in taken and one.first not in inside:
            taken.add(one.region)
            found.append(one)
            claims += its_claims
    if found or not regions:
        claims += limit_claims(_bullets(tokens, outline))
    known: dict[str, Claim] = {}
    for claim in claims:
        known.setdefault(claim.id, claim)
    found.sort(key=lambda one: one.first)
    return Adoption(_marked(text, found), tuple(known.values()), tuple(found))


def _marked(text: str, found: list[Found]) -> str:
    lines = split_lines(text)
    for one in reversed(found):
        _end_last_line(lines, one)
        body = "".join(line.rstrip("\r\n") + "\n" for line in lines[one.first : one.last])
        ending = _ending(lines[one.first])
        begin = begin_marker(one.region, {"run": NO_RUN, "sha256": digest(body)})
        bom = "\ufeff" if lines[one.first].startswith("\ufeff") else ""
        lines[one.first] = lines[one.first].removeprefix("\ufeff")
        closing = end_marker(one.region) + (ending if one.last < len(lines) else "")
        if one.last == len(lines) and text.endswith(("\n", "\r")):
            closing = end_marker(one.region) + ending
        lines[one.last : one.last] = [closing]
        lines[one.first : one.first] = [bom + begin + ending]
    return "".join(lines)


def _end_last_line(lines: list[str], one: Found) -> None:
    """Give the document's last line an end where a marker has to follow it."""
    last = lines[one.last - 1]
    if last == last.rstrip("\r\n"):
        lines[one.last - 1] = last + _ending(lines[one.first])


def _ending(line: str) -> str:
    return line[len(line.rstrip("\r\n")) :] or "\n"


def _tables(tokens: list[Token], outline: Outline) -> list[tuple[Found, tuple[Claim, ...]]]:
    for at, token in enumerate(tokens):
        if token.type != "table_open" or token.map is None or token.level:
            continue
        rows = _cells(tokens, at)
        if not rows or any(len(row) != 2 for row in rows):
            continue
        header, *body = rows
        known = sum(is_metric(label) for label, _ in body)
        if known >= 2 or (known and _METRIC_HEADING.search(header[0])):
            first, last = token.map
            section = outline.heading_at(first + 1)
            claims = table_claims([(row[0], row[1]) for row in body], section)
            return [(Found("load", first, last, "the metric table"), claims)]
    return []


def _cells(tokens: list[Token], at: int) -> list[list[str]]:
    rows: list[list[str]] = []
    for token in tokens[at + 1 :]:
        if token.type == "table_close":
            break
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(token.content.strip())
    return rows


def _lists(tokens: list[Token], outline: Outline) -> list[tuple[Found, tuple[Claim, ...]]]:
    for at, token in enumerate(tokens):
        if token.type not in {"ordered_list_open", "bullet_list_open"} or token.level:
            continue
        assert token.map is not None  # noqa: S101 - every block has its lines
        items = _items(tokens, at)
        ticked = [_TICKED.match(item) for item in items]
        if len(items) >= 2 and all(ticked):
            first, last = token.map
            texts = [" ".join(match["text"].split()) for match in ticked if match]
            claims = checklist_claims(texts, outline.heading_at(first + 1))
            last = _without_blank_end(outline.text, first, last)
            return [(Found("security", first, last, "the security check list"), claims)]
    return []


def _items(tokens: list[Token], at: int) -> list[str]:
    """Return the text of each item of the list that opens at `at`, nested lists left out."""
    level, items = tokens[at].level, []
    for number in range(at + 1, len(tokens)):
        token = tokens[number]
        if token.level == level:
            break
        first = tokens[number - 2].type == "list_item_open"
        if token.type == "inline" and token.level == level + 3 and first:
            items.append(token.content)
    return items


def _bullets(tokens: list[Token], outline: Outline) -> list[tuple[str, str]]:
    return [
        (" ".join(item.split()), outline.heading_at(token.map[0] + 1))
        for at, token in enumerate(tokens)
        if token.type == "bullet_list_open" and token.map is not None
        for item in _items(tokens, at)
        if not _TICKED.match(item)
    ]


def _images(tokens: list[Token], outline: Outline) -> list[tuple[Found, tuple[Claim, ...]]]:
    """Find the pictures that have a paragraph, or lines of one, to themselves."""
    lines = split_lines(outline.text)
    found: list[tuple[Found, tuple[Claim, ...]]] = []
    for at, token in enumerate(tokens):
        if token.map is None or token.level != 1 or tokens[at - 1].type != "paragraph_open":
            continue
        first, last = token.map
        spans = [(first, last)] if _IMAGE.fullmatch(token.content.strip()) else None
        for start, end in spans or [(line, line + 1) for line in range(first, last)]:
            match = _IMAGE.fullmatch("".join(lines[start:end]).strip().lstrip("\ufeff"))
            name = None if match is None else _figure(match)
            if match is not None and name is not None:
                found.append((Found(name, start, end, f"the picture {_link(match)}"), ()))
    return found


def _figure(match: re.Match[str]) -> str | None:
    link = _link(match)
    if "://" in link or PurePosixPath(link).suffix.lower() not in {".png", ".svg"}:
        return None
    stem = PurePosixPath(link).stem.lower()
    ends = (name for name, words in _FIGURES if re.search(rf"(?<![^\W\d_])(?:{words})$", stem))
    return next(ends, None)


def _link(match: re.Match[str]) -> str:
    return match["angled"] or match["plain"]


def _without_blank_end(text: str, first: int, last: int) -> int:
    lines = split_lines(text)
    while last > first + 1 and not lines[last - 1].strip():
        last -= 1
    return last
