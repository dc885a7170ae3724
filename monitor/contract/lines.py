"""Finds the line of a TOML document that a key stands in, for errors that name it."""

import re

_MULTILINE = re.compile(r'"""|\'\'\'')


def line_of(text: str, table: str, number: int | None, key: str) -> int:
    """Return the line, from 1, of `key` in the `number`-th (from 0) `[[table]]` of `text`.

    With None for the number, of a key before the first. The line of the table's header if the key
    is not in it, 1 if there is no such table. Lines inside multi-line strings are passed over.
    """
    wanted = -1 if number is None else number
    header = re.compile(rf"\s*\[\[\s*{re.escape(table)}\s*\]\]")
    keyed = re.compile(rf"""\s*(?:"{re.escape(key)}"|'{re.escape(key)}'|{re.escape(key)})\s*=""")
    seen, found, inside = -1, 1, False
    for at, line in enumerate(text.splitlines(), 1):
        if not inside:
            if header.match(line):
                seen += 1
                if seen == wanted:
                    found = at
                elif seen > wanted:
                    break
            elif seen == wanted and keyed.match(line):
                return at
        inside ^= len(_MULTILINE.findall(line)) % 2 == 1
    return found
