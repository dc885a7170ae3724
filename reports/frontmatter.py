"""The YAML front matter of a chapter: two kinds of key are kept current, all else is the author's.

`words` counts the words of the document; the evidence keys say what its figures rest on. Only
keys that are there are set, in their place, with their comments; nothing else is touched, and
nothing is parsed beyond `key: value` at the left margin.
"""

import re
from collections.abc import Mapping

from reports.outline import blocks, front_matter, split_lines

#: The keys that follow the evidence: its runs, oldest first, and the day of the newest.
EVIDENCE_RUNS = "evidence_runs"
EVIDENCE_DATE = "evidence_date"

_LINE = re.compile(
    r"(?P<key>[A-Za-z_][\w-]*):(?P<gap>[ \t]*)(?P<value>[^#\r\n]*?)"
    r"(?P<rest>(?:[ \t]+#[^\r\n]*)?[ \t]*)(?P<end>[\r\n]*)"
)
_WORD = re.compile(r"\w")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def keys(text: str) -> frozenset[str]:
    """Return the keys at the left margin of the front matter."""
    lines = split_lines(text)
    matches = (_LINE.fullmatch(line) for line in lines[: front_matter(lines)])
    return frozenset(match["key"] for match in matches if match is not None)


def with_values(text: str, values: Mapping[str, str]) -> str:
    """Return the document with the values of those keys that its front matter has."""
    lines = split_lines(text)
    for number in range(front_matter(lines)):
        match = _LINE.fullmatch(lines[number])
        if match is not None and match["key"] in values:
            value = values[match["key"]]
            lines[number] = (
                f"{match['key']}:{match['gap'] or ' '}{value}{match['rest']}{match['end']}"
            )
    return "".join(lines)


def count_words(text: str) -> int:
    """Count the words a reader reads: runs of characters between spaces with a letter or digit.

    Headings, prose, lists and tables count, generated or not. Front matter, comments, code
    blocks, images' addresses and other HTML do not.
    """
    total = 0
    for kind, _, _, content in blocks(text):
        if kind == "inline":
            read = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", _COMMENT.sub(" ", content))
            total += sum(1 for word in read.split() if _WORD.search(word))
    return total
