"""Finds the line of a TOML document that a key stands in, for errors that name it."""

import re

_MULTILINE = re.compile(r'"""|\'\'\'')


def line_of(text: str, table: str, number: int, key: str) -> int:
    """Return the line, from 1, of `key` in the `number`-th (from 0) `[[table]]` of `text`.

    The line of the table's header if the key is not in it, 1 if there is no such table. Lines
    inside multi-line strings are passed over.
    """
    header = re.compile(rf"\s*\[\[\s*{re.escape(table)}\s*\]\]")
    keyed = re.compile(rf"""\s*(?:"{re.escape(key)}"|'{re.escape(key)}'|{re.escape(key)})\s*=""")
    seen, found, inside = -1, 1, False
    for at, line in enumerate(text.splitlines(), 1):
        if not inside:
            if header.match(line):
                seen += 1
                if seen == number:
                    found = at
                elif seen > number:
                    break
            elif seen == number and keyed.match(line):
                return at
        inside ^= len(_MULTILINE.findall(line)) % 2 == 1
    return found
