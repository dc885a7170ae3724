"""What was sent and received, bounded and without secrets: the evidence behind a finding."""

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar

from monitor.contract.findings import Direction, TranscriptLine

#: Lines kept of one check: the first ones and, in place of the middle, how many were left out.
MAX_LINES = 300

#: Characters kept of one summary.
MAX_SUMMARY_CHARS = 400

#: What begins as a JSON Web Token, or is most of one: spoilt and shortened ones count, too.
_JWT = re.compile(
    r"(?<![A-Za-z0-9_-])(?:[A-Za-z0-9_-]{16,}+(?:\.|%2[Ee])){1,2}[A-Za-z0-9_-]{16,}+"
    r"|eyJ[A-Za-z0-9_-]{4,}(?:(?:\.|%2[Ee])[A-Za-z0-9_-]*)*"
)


#: The variant under way, for each task by itself: a check may try several at a time.
_variant: ContextVar[str] = ContextVar("variant", default="")


@contextlib.contextmanager
def trying(variant: str) -> Iterator[None]:
    """Name what the block tries; its lines carry that name."""
    token = _variant.set(variant)
    try:
        yield
    finally:
        _variant.reset(token)


def visible(text: str) -> str:
    """Return text with each control character spelled out, as Python would."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


class Transcript:
    """The conversation of one check, over all its connections.

    Args:
        check: the check's id.
        clock: monotonic seconds.
    """

    def __init__(self, check: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._check = check
        self._clock = clock
        self._started = clock()
        self._lines: list[TranscriptLine] = []
        self._left_out = 0
        self._secrets: list[str] = []

    @property
    def variant(self) -> str:
        """The variant under way in this task."""
        return _variant.get()

    def protect(self, secret: str) -> None:
        """Never write this text: a token, a key."""
        if len(secret) >= 8 and secret not in self._secrets:
            self._secrets.append(secret)

    def note(self, connection: int, direction: Direction, summary: str, size: int = 0) -> None:
        """Add one line; `size` is the number of bytes it stands for."""
        if len(self._lines) >= MAX_LINES:
            self._left_out += 1
            return
        self._lines.append(
            TranscriptLine(
                check=self._check,
                variant=self.variant,
                at_s=round(self._clock() - self._started, 4),
                connection=connection,
                direction=direction,
                summary=self.redact(summary)[:MAX_SUMMARY_CHARS],
                size_bytes=size,
            )
        )

    def redact(self, text: str) -> str:
        """Return `text` without tokens; control characters are made visible."""
        for secret in self._secrets:
            text = text.replace(secret, "[token]")
        return visible(_JWT.sub("[token]", text))

    def lines(self) -> tuple[TranscriptLine, ...]:
        """Return the lines so far; the last one says how many did not fit."""
        if not self._left_out:
            return tuple(self._lines)
        last = TranscriptLine(
            check=self._check,
            variant=self.variant,
            at_s=round(self._clock() - self._started, 4),
            connection=0,
            direction="note",
            summary=f"{self._left_out} more lines are left out",
            size_bytes=0,
        )
        return (*self._lines, last)


def render(lines: Iterable[TranscriptLine], most: int = 12) -> str:
    """Return the last lines as text, one a line: `+0.012 #1 > GET / HTTP/1.1`."""
    arrows = {"sent": ">", "received": "<", "note": "·"}
    shown = list(lines)[-most:]
    return "\n".join(
        f"{line.at_s:+.3f} #{line.connection} {arrows[line.direction]} {line.summary}"
        for line in shown
    )
