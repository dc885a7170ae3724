"""Redaction of free text: what looks like a secret or says who someone is gives way to its kind.

Pure. `redact` replaces, `neutralise` makes control characters visible; a publisher's free text
passes both before it is stored. This guards against accidents, such as an exception text that
quotes a connection string; it cannot find a secret that looks like a word, or one spread over
several events. Every pattern takes linear time: a repetition is possessive or bounded, and one
that could start anywhere in its own run is held to the run's start by a look-behind.
"""

import binascii
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple
from urllib.parse import unquote

Replacement = Callable[[re.Match[str]], str]


class Rule(NamedTuple):
    """One kind of sensitive text.

    `marks` are lower-case texts, one of which is in every match; looking for them is so much
    cheaper than the pattern that clean text never meets one.
    """

    kind: str
    marks: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str | Replacement


def redact(text: str) -> tuple[str, int]:
    """Return `text` with each sensitive part replaced by `[redacted:KIND]`, and how many were.

    Also finds parts that are percent-encoded (up to three times), written with JSON escapes or
    in base64; a stretch that hides one is shown decoded, or for base64 replaced whole.
    """
    if not _may_be_sensitive(text.lower()) and _LONG_RUN.search(text) is None:
        return text, 0
    text, plain = _redact_plain(text)
    text, escaped = _redact_escaped(text) if "\\" in text else (text, 0)
    text, quoted = _redact_percent(text) if "%" in text else (text, 0)
    text, encoded = _redact_base64(text)
    return text, plain + escaped + quoted + encoded


def neutralise(text: str) -> str:
    """Return `text` with nothing in it that a terminal, log or page would obey.

    C0 controls and DEL become their pictures (ESC is ␛, a line feed ␊), a tab a space; C1
    controls, bidirectional overrides, line separators, invisible tags and lone surrogates become
    U+FFFD. The length stays.
    """
    if text.isprintable():
        return text
    return _UNSAFE.sub(_visible, text)


# --- the rules, in the order in which they are applied ---


def _from_jwt_on(match: re.Match[str]) -> str:
    """Replace a JWT, or so much of one that its claims could be read, inside a dotted run."""
    run = match[0]
    start = run.find("eyJ")  # `{"` in base64, as every header and every set of claims begins
    if start < 0 or ("." not in run[start:] and len(run) - start < 40):
        return run
    return run[:start] + "[redacted:jwt]"


def _basic(match: re.Match[str]) -> str:
    """Replace Basic credentials (RFC 7617): base64 with a colon in it, unlike an English word."""
    decoded = _decode_base64(match["value"])
    return match["name"] + "[redacted:credential]" if b":" in decoded else match[0]


_QUOTE = r"""(?:\\?["'])?"""
_NAME = (
    r"(?:passw(?:or)?d|passphrase|pwd|secret(?:[_-]?(?:access[_-]?)?key)?|token|api[_-]?key"
    r"|access[_-]?key(?:[_-]?id)?|private[_-]?key|signing[_-]?key|session[_-]?id|set-cookie|cookie)"
)
_VALUE = r"""(?!\[redacted:)(?:\\?"[^"]*+"?|'[^']*+'?|[^\s"',;&)}\]]++)"""

_RULES = (
    Rule(
        "private-key",
        ("-----begin",),
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r".*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
            re.DOTALL,
        ),
        "[redacted:private-key]",
    ),
    Rule(
        "jwt",
        ("eyj",),
        re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]++)*+"),
        _from_jwt_on,
    ),
    Rule(
        "api-key",
        (
            *("akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-"),
            *("xox", "xapp-", "aiza", "ya29.", "sk-", "k_live_", "k_test_", "npm_", "pypi-", "hf_"),
        ),
        re.compile(
            r"(?:AKIA|ASIA)[A-Z0-9]{16,}+"  # Amazon
            r"|gh[pousr]_[A-Za-z0-9]{20,}+|github_pat_[A-Za-z0-9_]{20,}+|glpat-[A-Za-z0-9_-]{16,}+"
            r"|xox[a-z]-[A-Za-z0-9-]{10,}+|xapp-[A-Za-z0-9-]{10,}+"  # Slack
            r"|AIza[A-Za-z0-9_-]{30,}+|ya29\.[A-Za-z0-9_-]{20,}+"  # Google
            r"|(?<![A-Za-z0-9])sk-(?=[A-Za-z_-]{0,64}[0-9])[A-Za-z0-9_-]{16,}+"  # OpenAI and kin
            r"|[spr]k_(?:live|test)_[A-Za-z0-9]{10,}+"  # Stripe
            r"|(?:npm|hf)_[A-Za-z0-9]{30,}+|pypi-[A-Za-z0-9_-]{32,}+"
        ),
        "[redacted:api-key]",
    ),
    Rule(
        "url-credential",
        ("://",),
        re.compile(r"""://(?!\[redacted:)(?:[^\s/@"'<>]*+@)++"""),
        "://[redacted:url-credential]@",
    ),
    Rule(
        "credential",
        ("authorization",),
        re.compile(
            rf"(?P<name>authorization{_QUOTE}[ \t]{{0,8}}[:=][ \t]{{0,8}}{_QUOTE})"
            r"""(?!\[redacted:)(?:[a-z]{2,16}[ \t]{1,8})?+[^\s"',;]++""",
            re.IGNORECASE,
        ),
        r"\g<name>[redacted:credential]",
    ),
    Rule(
        "credential",
        ("bearer",),
        re.compile(
            r"(?P<name>\bbearer[ \t]{1,8})"
            r"(?=[a-z._~+/-]{0,200}[0-9=])[a-z0-9._~+/=-]{6,}+",  # a digit: not a word
            re.IGNORECASE,
        ),
        r"\g<name>[redacted:credential]",
    ),
    Rule(
        "credential",
        ("basic",),
        re.compile(r"(?P<name>\bbasic[ \t]{1,8})(?P<value>[a-z0-9+/]{4,}+={0,2})", re.IGNORECASE),
        _basic,
    ),
    Rule(
        "credential",
        ("passw", "passphrase", "pwd", "secret", "token", "key", "session", "cookie"),
        re.compile(
            rf"(?P<name>{_NAME}{_QUOTE}[ \t]{{0,8}}(?>=>|:=|[:=])[ \t]{{0,8}}+){_VALUE}",
            re.IGNORECASE,
        ),
        r"\g<name>[redacted:credential]",
    ),
    Rule(
        "email",
        ("@",),
        re.compile(r"(?<![\w.%+'-])[\w.%+'-]++@(?:[\w-]++\.)+[^\W\d_]{2,}+"),
        "[redacted:email]",
    ),
    Rule(
        "home",
        ("/home/", "/users/", "/root", "\\users\\"),
        re.compile(
            r"""(?<![\w.-])(?:/mnt|/var|/usr)?(?:/[A-Za-z])?/(?:home|Users)/[^\s/\\:"'<>,;)]++"""
            r"|(?<![\w.-])/root(?![\w-])"
            r"""|[A-Za-z]:\\{1,2}Users\\{1,2}[^\\/:"<>|\s]++(?:[ ][^\\/:"<>|\s]++(?=\\))?"""
        ),
        "[redacted:home]",
    ),
)

# What the prefilter looks for beside the rules' marks: marks of encodings, which the rules see only
# once they are undone, and texts that each stand in for several rules' longer marks.
_BROAD_MARKS = ("%", "\\", "_", "pass")


def _compile_test(marks: Iterable[str]) -> Callable[[str], bool]:
    """Return a test for any of the marks: one expression, a third of the time of a loop.

    A mark that contains another one need not be looked for.
    """
    distinct = [*dict.fromkeys(marks)]
    needed = [
        mark for mark in distinct if not any(part in mark for part in distinct if part != mark)
    ]
    tests = " or ".join(f"{mark!r} in text" for mark in needed)
    test: Callable[[str], bool] = eval(f"lambda text: {tests}")  # noqa: S307 - our own marks
    return test


_may_be_sensitive = _compile_test(
    [*_BROAD_MARKS, *(mark for rule in _RULES for mark in rule.marks)]
)
_TESTED_RULES = tuple((_compile_test(rule.marks), rule) for rule in _RULES)


def _redact_plain(text: str) -> tuple[str, int]:
    """Apply the rules to text as it stands."""
    count = 0
    lowered = text.lower()
    for may_match, rule in _TESTED_RULES:
        if may_match(lowered):
            before = text.count("[redacted:")
            text = rule.pattern.sub(rule.replacement, text)
            count += max(0, text.count("[redacted:") - before)
    return text, count


# --- encodings ---

_ESCAPE = re.compile(r"""\\{1,4}(?:u([0-9A-Fa-f]{4})|([/"]))""")
_WORD = re.compile(r"\S++")
_LONG_RUN = re.compile(r"[A-Za-z0-9+/_-]{16}")
# Four characters that stand for three bytes of ASCII text: no control character but tab and line
# end in the first, and no high bit in any. Ordinary words, paths and digests hardly ever hold four
# such groups in a row, whatever the alignment, so a match begins where the base64 does.
_BASE64_TEXT = re.compile(
    r"(?:[CDI-Za-f][A-HQ-Xg-nw-z0-3][ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]){4,}+"
    r"[A-Za-z0-9+/_-]{0,3}+={0,2}+"
)
_TO_STANDARD = str.maketrans("-_", "+/")


def _redact_escaped(text: str) -> tuple[str, int]:
    """Redact what JSON string escapes (RFC 8259 section 7) hide; without a find, change nothing."""
    decoded = _ESCAPE.sub(lambda match: chr(int(match[1], 16)) if match[1] else match[2], text)
    redacted, count = _redact_plain(decoded)
    return (redacted, count) if count else (text, 0)


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
        redacted, count = _redact_plain(decoded)
        total += count
        return redacted if count else match[0]

    return _WORD.sub(word, text), total


def _redact_base64(text: str) -> tuple[str, int]:
    """Replace stretches of base64 (RFC 4648 sections 4 and 5) whose text is sensitive."""
    total = 0

    def stretch(match: re.Match[str]) -> str:
        nonlocal total
        _, count = _redact_plain(_decode_base64(match[0]).decode("latin-1"))
        total += count
        return "[redacted:base64]" if count else match[0]

    return _BASE64_TEXT.sub(stretch, text), total


def _decode_base64(run: str) -> bytes:
    """Decode either alphabet, padded or not; a last character that cannot be is left out."""
    run = run.rstrip("=").translate(_TO_STANDARD)
    whole = run[: len(run) - (len(run) % 4 == 1)]
    return binascii.a2b_base64(whole + "=" * (-len(whole) % 4))


# --- control characters ---

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def _visible(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code == 0x09:
        return " "
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"
