"""The page a person is shown whose browser asked for one and is refused.

Programs are told the same as problem details (RFC 9457). Nothing of the request stands in the page,
and it is whole without a further file: whoever is over a limit would get none. So its style is in
it, and the content policy admits that style by its hash, and no other.
"""

import base64
import hashlib
import math
from datetime import UTC, datetime
from html import escape
from http import HTTPStatus
from typing import NamedTuple


class Words(NamedTuple):
    """What happened, and what to do about it, each in sentences; `title` says it in a few words.

    `until` says what the instant means at which to come back; `{}` is that instant.
    """

    title: str
    happened: str
    advice: str
    until: str = "Come back at {}."


_HOME = '<a href="/">Open the dashboard</a>.'
_RELOAD = "Then reload this page."

#: By the detail of the problem. They are markup: no part of them comes from a request.
WORDS = {
    "too many requests": Words(
        "Too many requests",
        "The monitor takes a limited number of requests from each address, and yours has used them"
        " up. All tabs, programs and people behind one address count together.",
        f"{_RELOAD} To reload it earlier does no harm, and does not help.",
        "It takes requests from your address again at {}.",
    ),
    "too many connections": Words(
        "Too many connections",
        "Your address has as many connections as the monitor gives to one. Each open dashboard has"
        " one, and so has each program that watches or publishes.",
        "Close a tab or end a program that is no longer needed; then reload this page.",
        "A place is free as soon as one of them ends; nobody can say when. Try again at {}.",
    ),
    "the server is full": Words(
        "The monitor is full",
        "It has as many connections as it can serve, of all addresses together.",
        f"{_RELOAD} If it stays so, whoever runs the monitor can let it serve more:"
        " <code>--max-connections</code>.",
        "When a place will be free is up to those who have one. Try again at {}.",
    ),
    "draining": Words(
        "The monitor is shutting down",
        "It takes no more clients. If it is being restarted, it is back in a moment.",
        f"{_RELOAD}",
        "Try again at {}.",
    ),
    "no such page": Words(
        "No such page",
        "The monitor has no page at this address. It may be mistyped.",
        _HOME,
    ),
    "authentication failed": Words(
        "A token is needed",
        "This page is for holders of a token with the scope <code>admin</code>, and no such token"
        " came with the request, or one that is not valid.",
        "Where the monitor runs, <code>wsproof token issue --subject you --scope admin</code>"
        " prints one; a program sends it as <code>Authorization: Bearer …</code>."
        f" Watching needs no such token: {_HOME}",
    ),
    "too many failed attempts": Words(
        "Too many failed attempts",
        "Too many tokens that are not valid came from your address.",
        f"{_RELOAD}",
        "It looks at tokens of your address again at {}.",
    ),
    "the token's scope does not allow this": Words(
        "Not allowed",
        "This page is for holders of a token with the scope <code>admin</code>; the one that came"
        " with the request is valid, but has another scope.",
        f"Ask whoever runs the monitor for such a token. Watching needs none: {_HOME}",
    ),
    "not called by a name of this server; --allow-origin adds one": Words(
        "Not a name of this monitor",
        "Your browser calls the monitor by a name that it does not know as its own, and it shows"
        " its pages under its own names only.",
        "Call it by its address, or as <code>localhost</code> where it runs. Whoever runs the"
        " monitor can add a name: <code>--allow-origin</code>.",
    ),
}


def _plain(status: int) -> Words:
    """Return words for a refusal that has none of its own."""
    return Words(
        HTTPStatus(status).phrase, "The monitor did not do what your browser asked for.", _HOME
    )


_STYLE = """
:root { color-scheme: light dark; --ground: #f4f6f8; --panel: #fff; --ink: #18202a; --soft: #55606f;
  --line: #dde2e8; --link: #0a5fb4; --mark: #805100; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0e1217; --panel: #161b22; --ink: #e7ebf0; --soft: #9ba7b6; --line: #29313b;
    --link: #79b8ff; --mark: #f0bb55; }
}
* { box-sizing: border-box; }
body { margin: 0; padding: clamp(12px, 8vh, 80px) 12px; background: var(--ground);
  color: var(--ink);
  font: 1.0625rem/1.5 system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
main { max-width: 38rem; margin: 0 auto; padding: clamp(18px, 4vw, 32px);
  border: 1px solid var(--line); border-left: 4px solid var(--mark); border-radius: 12px;
  background: var(--panel); overflow-wrap: break-word; }
h1 { margin: 0 0 12px; font-size: 1.4rem; line-height: 1.25; }
p { margin: 0 0 12px; }
time { font-variant-numeric: tabular-nums; white-space: nowrap; }
p time { font-weight: 650; }
code { font: 0.92em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
a { color: var(--link); }
a:focus-visible { outline: 2px solid; outline-offset: 2px; }
footer { margin-top: 20px; color: var(--soft); font-size: 0.875rem; }
"""

_digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

#: The style of the page as a source of the content policy.
STYLE_SOURCE = f"'sha256-{_digest}'"

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title} – Pipeline monitor</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{happened}</p>
{until}<p>{advice}</p>
<footer>Pipeline monitor, answer {status} ({phrase}), sent at {sent}.</footer>
</main>
</body>
</html>
"""


def error_page(status: int, detail: str, retry_after_s: int | None, now: float) -> bytes:
    """Return the page for a refusal.

    Args:
        status: the HTTP status, as it is in the answer's head.
        detail: of the problem; picks the words, and is not itself shown.
        retry_after_s: when to come back, as the header says it.
        now: Unix seconds.
    """
    words = WORDS.get(detail) or _plain(status)
    until = ""
    if retry_after_s is not None:
        seconds = f"{retry_after_s} second{'' if retry_after_s == 1 else 's'}"
        # Rounded up: the clock shown has no fractions, and earlier would be too early.
        instant = f"{_instant(math.ceil(now + retry_after_s))}, {seconds} after this page came"
        until = f"<p>{words.until.format(instant)}</p>\n"
    text = _PAGE.format(
        style=_STYLE,
        title=words.title,
        happened=words.happened,
        until=until,
        advice=words.advice,
        status=status,
        phrase=escape(HTTPStatus(status).phrase),
        sent=_instant(now),
    )
    return text.encode()


def _instant(seconds: float) -> str:
    when = datetime.fromtimestamp(seconds, UTC)
    return f'<time datetime="{when:%Y-%m-%dT%H:%M:%SZ}">{when:%H:%M:%S} UTC</time>'
