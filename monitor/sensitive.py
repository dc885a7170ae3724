"""What counts as sensitive text, kind by kind, and how it is found in text as it stands. Pure.

Rules alone: what encodings hide, and what is split between two texts, is `monitor.redaction`'s.
Every pattern takes linear time: a repetition is possessive or bounded, and one that could start
anywhere in its own run is held to the run's start by a look-behind.
"""

import binascii
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

Replacement = Callable[[re.Match[str]], str]

_TO_STANDARD = str.maketrans("-_", "+/")


class Rule(NamedTuple):
    """One kind of sensitive text.

    `marks` are lower-case texts, one of which is in every match; looking for them is so much
    cheaper than the pattern that clean text never meets one. `signs` are characters or lower-case
    texts of which one is in every match, too: cheaper still. `long_run` says that every match has
    a long run.
    """

    kind: str
    marks: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str | Replacement
    signs: str | tuple[str, ...] = ""
    long_run: bool = False


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
    decoded = decode_base64(match["value"])
    return match["name"] + "[redacted:credential]" if b":" in decoded else match[0]


def _option(match: re.Match[str]) -> str:
    """Keep the option, replace its value."""
    return (match["name"] or match["short"]) + "[redacted:credential]"


_QUOTE = r"""(?:\\?["'])?"""
_NAME = (
    r"(?:passw(?:or)?d|passphrase|pwd|secret(?:[_-]?(?:access[_-]?)?key)?|token|api[_-]?key"
    r"|(?:access|account)[_-]?key(?:[_-]?id)?|private[_-]?key|signing[_-]?key|session[_-]?id|set-cookie|cookie)"
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
        signs="-",
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
            *(
                "aiza",
                "ya29.",
                "sk-",
                "k_live_",
                "k_test_",
                "npm_",
                "pypi-",
                "hf_",
                "sg.",
                "dop_v1_",
                "dckr_pat_",
                "shp",
                "whsec_",
                ":aa",
                "age-secret-key-1",
            ),
        ),
        re.compile(
            r"(?:AKIA|ASIA)[A-Z0-9]{16,}+"  # Amazon
            r"|gh[pousr]_[A-Za-z0-9]{20,}+|github_pat_[A-Za-z0-9_]{20,}+|glpat-[A-Za-z0-9_-]{16,}+"
            r"|AIza[A-Za-z0-9_-]{30,}+|ya29\.[A-Za-z0-9_-]{20,}+"  # Google
            r"|(?<![A-Za-z0-9])sk-(?=[A-Za-z_-]{0,64}[0-9])[A-Za-z0-9_-]{16,}+"  # OpenAI and kin
            r"|[spr]k_(?:live|test)_[A-Za-z0-9]{10,}+"  # Stripe
            r"|(?:npm|hf)_[A-Za-z0-9]{30,}+|pypi-[A-Za-z0-9_-]{32,}+|dop_v1_[a-f0-9]{32,}+"
            r"|dckr_pat_[A-Za-z0-9_-]{20,}+|shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32,}+"  # Docker, Shopify
            r"|whsec_[A-Za-z0-9+/]{20,}+=*|AGE-SECRET-KEY-1[A-Za-z0-9]{50,}+"  # webhooks, age
            r"|(?<![A-Za-z0-9])[0-9]{8,10}:AA[A-Za-z0-9_-]{30,}+"  # Telegram
            r"|(?<![A-Za-z0-9])SG\.[A-Za-z0-9_-]{16,}+\.[A-Za-z0-9_-]{16,}+"  # SendGrid
        ),
        "[redacted:api-key]",
        long_run=True,
    ),
    Rule(
        "api-key",
        ("xox", "xapp-"),
        re.compile(r"xox[a-z]-[A-Za-z0-9-]{10,}+|xapp-[A-Za-z0-9-]{10,}+"),  # Slack
        "[redacted:api-key]",
        signs="-",
    ),
    Rule(
        "api-key",
        ("hooks.slack.com/",),
        re.compile(r"(?<=hooks\.slack\.com/)[a-z]{1,16}/[A-Za-z0-9/_-]{16,}+"),
        "[redacted:api-key]",
        signs="/",
    ),
    Rule(
        "api-key",
        ("sig=", "sharedaccesssignature="),
        re.compile(
            r"(?P<name>\b(?:sig|SharedAccessSignature)=)[A-Za-z0-9%+/_-]{20,}+=*", re.IGNORECASE
        ),
        r"\g<name>[redacted:api-key]",  # Azure
        signs="=",
    ),
    Rule(
        "url-credential",
        ("://",),
        re.compile(
            r"://(?!\[redacted:)"
            # A password with a slash in it belongs encoded, and is written all the same; a port is
            # none.
            r"""(?:[^\s/:@"'<>]{0,64}:(?![0-9]{1,5}/)[^\s"'<>]{1,200}@(?=[\w\[])"""
            r"""|(?:[^\s/@"'<>]*+@)++)"""
        ),
        "://[redacted:url-credential]@",
        signs=":",
    ),
    Rule(
        "credential",
        ("authorization",),
        re.compile(
            rf"(?P<name>authorization{_QUOTE}[ \t]{{0,8}}[:=][ \t]{{0,8}}{_QUOTE})"
            r"(?!\[redacted:)(?:digest[ \t]{1,8}"
            r"""(?:[a-z]{1,16}=(?:\\?"[^"]{0,256}"|[^\s,"]{0,256})"""
            r"(?:[ \t]{0,4},[ \t]{0,4})?+){1,16}+"
            r"""|(?:[a-z]{2,16}[ \t]{1,8})?+[^\s"',;]++)""",
            re.IGNORECASE,
        ),
        r"\g<name>[redacted:credential]",
        signs=":=",
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
        signs=":=",
    ),
    Rule(
        "credential",
        ("--", "-p'", "-p '", '-p"', '-p "'),
        re.compile(
            rf"(?P<name>(?<![\w-])--(?:[a-z]{{1,16}}-){{0,2}}{_NAME}[ \t]{{1,8}})(?!-){_VALUE}"
            r"""|(?P<short>(?<![\w-])-p ?)(?!.\[redacted:)(?:'(?![\d:.]*')[^']{1,200}'"""
            r"""|"(?![\d:.]*")[^"]{1,200}")""",
            re.IGNORECASE,
        ),
        _option,
        signs="-",
    ),
    Rule(
        "credential",
        ("passw", "passphrase", "pwd", "secret", "token", "key"),
        re.compile(
            r"(?P<name> (?:(?<=password )|(?<=passwd )|(?<=passphrase )|(?<=pwd )|(?<=secret )"
            r"|(?<=token )|(?<=api.key )|(?<=apikey )|(?<=(?:access|secret).key ))(?:is|was) )"
            r"(?!\[redacted:)(?=\S{0,64}[0-9])\S{6,}+",  # a digit: not a word
            re.IGNORECASE,
        ),
        r"\g<name>[redacted:credential]",
        signs=(" is ", " was "),
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
            r"(?<![\w.-])(?:/mnt|/var|/usr|/export|/nfs|/net|/data|/srv|/cygdrive)?(?:/[A-Za-z])?"
            r"""/(?:home|Users)/[^\s/\\:"'<>,;)]++"""
            r"""|(?<![\w])[A-Za-z]:/(?i:users)/[^\s/\\:"'<>,;)]++"""
            r"|(?<![\w.-])(?:/var)?/root(?![\w-])"
            r"|(?:[A-Za-z]:|\\{2,4}[\w.-]{1,64})\\{1,2}(?i:users)\\{1,2}"
            r"""[^\\/:"<>|\s]++(?:[ ][^\\/:"<>|\s]++(?=\\))?"""
        ),
        "[redacted:home]",
        signs="/\\",
    ),
)

# A run that may be a key, base64 or hex, as it looks once its characters are all made the same.
_LONG_RUN = b"x" * 16
_MADE_THE_SAME = bytes(
    ord("x") if chr(code).isalnum() or chr(code) in "+/_-" else ord(" ") for code in range(128)
).ljust(256)

# Marks of encodings that rules see through only once they are undone; the others are long runs.
_ENCODING_MARKS = ("%", "\\")


def _compile_test(rules: Iterable[Rule], marks: Iterable[str] = ()) -> Callable[[str], bool]:
    """Return a test of lower-case text for any of the rules' or the further marks.

    One expression takes a third of the time of a loop.
    """
    by_signs: dict[str | tuple[str, ...], list[str]] = {"": [*marks]}
    for rule in rules:
        by_signs.setdefault(rule.signs, []).extend(rule.marks)
    tests = []
    for signs, wanted in by_signs.items():
        if wanted:
            test = " or ".join(f"{mark!r} in text" for mark in dict.fromkeys(wanted))
            signed = " or ".join(f"{sign!r} in text" for sign in signs)
            tests.append(f"(({signed}) and ({test}))" if signs else test)
    compiled: Callable[[str], bool] = eval(f"lambda text: {' or '.join(tests)}")  # noqa: S307 - ours
    return compiled


has_mark = _compile_test([rule for rule in _RULES if not rule.long_run], _ENCODING_MARKS)
_TESTED_RULES = tuple((_compile_test([rule]), rule) for rule in _RULES)
LONG_RUN_RULES = tuple(tested for tested in _TESTED_RULES if tested[1].long_run)


def may_be_sensitive(text: str) -> bool:
    """Tell whether anything may have to be redacted; clean text is let go after this."""
    return has_mark(text.lower()) or has_long_run(text)


def has_long_run(text: str) -> bool:
    """Tell whether 16 characters of `A-Za-z0-9+/_-` stand in a row.

    A pattern takes up to seven times as long, as it begins anew at each letter of a word.
    """
    return _LONG_RUN in text.encode("utf-8", "surrogatepass").translate(_MADE_THE_SAME)


def redact_plain(
    text: str, rules: Iterable[tuple[Callable[[str], bool], Rule]] = _TESTED_RULES
) -> tuple[str, int]:
    """Apply rules to text as it stands."""
    count = 0
    lowered = text.lower()
    for may_match, rule in rules:
        if may_match(lowered):
            before = text.count("[redacted:")
            text = rule.pattern.sub(rule.replacement, text)
            count += max(0, text.count("[redacted:") - before)
    return text, count


def decode_base64(run: str) -> bytes:
    """Decode either alphabet, padded or not; a last character that cannot be is left out."""
    run = run.rstrip("=").translate(_TO_STANDARD)
    whole = run[: len(run) - (len(run) % 4 == 1)]
    return binascii.a2b_base64(whole + "=" * (-len(whole) % 4))
