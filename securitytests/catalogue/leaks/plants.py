"""Control characters between two marks: how they are planted, and found again. Pure."""

import re
import secrets
from typing import NamedTuple

from securitytests.catalogue.authentication.presenting import on_the_wire

#: What ends a line or gives a terminal an order, by name.
CONTROLS = {
    "CR LF": "\r\n",
    "LF": "\n",
    "CR": "\r",
    "ESC": "\x1b[2K",
    "CSI": "\x9b2K",
    "NUL": "\0",
    "BS": "\b",
    "line separator": "\u2028",
}

#: Any control character, with the rest of an escape sequence, at the end of a text.
ANY_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029](?:\[?2K)?\Z")

#: The same of those that JSON allows in no text unescaped (RFC 8259 section 7).
UNESCAPED = re.compile(r"[\x00-\x1f](?:\[?2K)?\Z")

#: The longest of them.
_LONGEST = 4


class Plant(NamedTuple):
    """One control sequence between two texts found nowhere else."""

    control: str
    head: str
    tail: str

    @property
    def text(self) -> str:
        """What is put into the field."""
        return f"{self.head}{CONTROLS[self.control]}{self.tail}"

    @property
    def in_http(self) -> str:
        """The same as HTTP carries it: the bytes of its UTF-8."""
        return on_the_wire(self.text, "header")

    def obeyed_in(self, content: str, control: re.Pattern[str] = ANY_CONTROL) -> bool:
        """Tell whether the end stands anywhere right behind a control character."""
        at = content.find(self.tail)
        while at >= 0:
            if control.search(content[max(0, at - _LONGEST) : at]):
                return True
            at = content.find(self.tail, at + 1)
        return False


def plants() -> tuple[Plant, ...]:
    """Return one plant for each control sequence."""
    return tuple(
        Plant(name, f"h{secrets.token_hex(5)}", f"t{secrets.token_hex(5)}") for name in CONTROLS
    )
