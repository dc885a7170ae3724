"""Redaction of free text: what looks like a secret or says who someone is gives way to its kind.

Pure. `redact` replaces, `neutralise` makes control characters visible; a publisher's free text
passes both before it is stored. This guards against accidents, such as an exception text that
quotes a connection string; it cannot find a secret that looks like a word. Every pattern takes
linear time: a repetition is possessive or bounded, and one that could start anywhere in its own
run is held to the run's start by a look-behind.
"""

import re
from collections.abc import Sequence
from urllib.parse import unquote

from monitor.sensitive import (
    LONG_RUN_RULES,
    decode_base64,
    has_long_run,
    has_mark,
    may_be_sensitive,
    redact_plain,
)


def redact(text: str) -> tuple[str, int]:
    """Return `text` with each sensitive part replaced by `[redacted:KIND]`, and how many were.

    Also finds parts that are percent-encoded (up to three times), written with JSON or hex
    escapes, in base64 (up to twice) or as hex digits; a stretch that hides one is shown decoded,
    or for base64 and hex replaced whole.
    """
    if not has_mark(text.lower()):
        if not has_long_run(text):
            return text, 0
        text, plain = redact_plain(text, LONG_RUN_RULES)
        text, encoded = _redact_runs(text, _NESTED_ENCODINGS)
        return text, plain + encoded
    text, plain = redact_plain(text)
    text, escaped = _redact_escaped(text) if "\\" in text else (text, 0)
    text, quoted = _redact_percent(text) if "%" in text else (text, 0)
    text, encoded = _redact_runs(text, _NESTED_ENCODINGS)
    return text, plain + escaped + quoted + encoded


class Redactor:
    """Redacts the texts of one publisher in turn, secrets split between two of them included.

    The first half of such a secret may be out by the time the second half shows what it was; the
    second half is what gives way then, as `[redacted:split]`. A text that follows one that ended
    in a secret loses its first word, for that word may be more of it.
    """

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = ""  # the text before, as it came, and what little it followed

    def lets_pass(self, texts: Sequence[str]) -> bool:
        """Take up texts that follow each other, if they can all be shown as they are.

        They are looked at as one, which costs little more than to look at one of them. What may
        have to be redacted, or made visible, shows in it as it would in a part of it: texts that
        pass are those `redact` and `neutralise` would not change. If any may not pass, none is
        taken up, and each has to be redacted.
        """
        if sum(map(len, texts)) > _JOINED_CHARACTERS:
            return False
        joined = self._tail + "".join(texts)
        if may_be_sensitive(joined) or not joined.isprintable():
            return False
        # What came before a text that is not short is not looked at again.
        long = (at for at in reversed(range(len(texts))) if len(texts[at]) > _SHORT_CHARACTERS)
        for text in texts[next(long, 0) :]:
            self._follow(text)
        return True

    def redact(self, text: str) -> tuple[str, int]:
        """Return `text` redacted, and how many parts were replaced; see `redact`."""
        tail = self._tail
        joined = tail + text
        self._follow(text)
        if not may_be_sensitive(joined):
            return text, 0
        # By itself in any case: what begins a word shows only there if a word came before.
        alone, count = redact(text)
        both, found = redact(joined)
        if not found or both == redact(tail)[0] + alone:
            return alone, count
        kept = _common_end(both, alone)
        if len(kept) == len(alone):  # it shows what the text before was: its first word goes
            kept = _FIRST_WORD.sub("", alone, count=1)
        return "[redacted:split]" + kept, count + 1

    def _follow(self, text: str) -> None:
        """Keep of a text what is looked at again with the next."""
        lone = len(text) > _SHORT_CHARACTERS or len(self._tail) > _TAIL_CHARACTERS
        self._tail = text[-_TAIL_CHARACTERS:] if lone else self._tail + text


def neutralise(text: str) -> str:
    """Return `text` with nothing in it that a terminal, log or page would obey.

    C0 controls and DEL become their pictures (ESC is ␛, a line feed ␊), a tab a space; C1
    controls, bidirectional overrides, line separators, invisible tags and lone surrogates become
    U+FFFD. The length stays.
    """
    if text.isprintable():
        return text
    return _UNSAFE.sub(_visible, text)


# --- encodings ---

#: Encodings within encodings that are undone.
_NESTED_ENCODINGS = 2

#: A text up to this length is looked at again together with what came before it, since a secret
#: may be split more than once.
_SHORT_CHARACTERS = 12

#: Most of what came that is looked at again with the next text.
_TAIL_CHARACTERS = 512

#: Most of a publication that is looked at as one: what that takes in memory is bounded.
_JOINED_CHARACTERS = 65_536

_ESCAPE = re.compile(r"""\\{1,4}(?:u([0-9A-Fa-f]{4})|x([0-9A-Fa-f]{2})|([/"]))""")
_WORD = re.compile(r"\S++")
_FIRST_WORD = re.compile(r"\A\s*+\S*+")
# Four characters that stand for three bytes of ASCII text: no control character but tab and line
# end in the first, and no high bit in any. Ordinary words, paths and digests hardly ever hold four
# such groups in a row, whatever the alignment, so a match begins where the base64 does.
_BASE64_TEXT = re.compile(
    r"(?:[CDI-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]){4,}+"
    r"[A-Za-z0-9+/_-]{0,3}+={0,2}+"
)
# Pairs of digits that stand for printable ASCII. Of a random digest so many in a row are rare.
_HEX_TEXT = re.compile(r"(?:[2-7][0-9A-Fa-f]){8,}+")


def _redact_escaped(text: str) -> tuple[str, int]:
    """Redact what JSON string escapes (RFC 8259 section 7) or hex escapes hide.

    Without a find, change nothing.
    """
    decoded = _ESCAPE.sub(_unescaped, text)
    redacted, count = redact_plain(decoded)
    return (redacted, count) if count else (text, 0)


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1] or match[2]
    return chr(int(digits, 16)) if digits else match[3]


def _redact_percent(text: str) -> tuple[str, int]:
    """Redact what percent-encoding (RFC 3986 section 2.1) hides, word by word."""
    total = 0

    def word(match: re.Match[str]) -> str:
        nonlocal total
        decoded = match[0]
        for _ in range(3):
            decoded = unquote(decoded)
        if decoded == match[0]:
            return decoded
        redacted, count = redact_plain(decoded)
        total += count
        return redacted if count else match[0]

    return _WORD.sub(word, text), total


def _redact_runs(text: str, depth: int) -> tuple[str, int]:
    """Replace stretches of base64 (RFC 4648 sections 4 and 5) and hex whose text is sensitive.

    `depth` encodings, one within the other, are undone.
    """
    total = 0

    def replaced(run: str, decoded: str, kind: str) -> str:
        nonlocal total
        inner, count = redact_plain(decoded)
        if not count and depth > 1:
            count = _redact_runs(inner, depth - 1)[1]
        total += count
        return f"[redacted:{kind}]" if count else run

    def base64(match: re.Match[str]) -> str:
        return replaced(match[0], decode_base64(match[0]).decode("latin-1"), "base64")

    def hexadecimal(match: re.Match[str]) -> str:
        return replaced(match[0], bytes.fromhex(match[0]).decode("latin-1"), "hex")

    return _HEX_TEXT.sub(hexadecimal, _BASE64_TEXT.sub(base64, text)), total


# --- control characters ---

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def _common_end(one: str, other: str) -> str:
    """Return the longest text both end in."""
    length = 0
    for length, (ours, theirs) in enumerate(zip(reversed(one), reversed(other), strict=False)):
        if ours != theirs:
            return other[len(other) - length :]
    return min(one, other, key=len)


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code == 0x09:
        return " "
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"
