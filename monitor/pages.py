"""The HTTP side: what a GET that is no WebSocket handshake is answered.

Pure, but for reading the dashboard's files once. Every answer carries the security headers, names
no software and closes the connection.
"""

import json
import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

import msgspec

from monitor.errorpages import STYLE_SOURCE, error_page

#: Paths that are never counted as requests, so that a probe cannot lock itself out.
UNCOUNTED = frozenset({"/healthz", "/readyz"})

_DASHBOARD = Path(__file__).parent / "dashboard"
_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}

_CONTENT_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {STYLE_SOURCE}; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SECURITY_HEADERS = (
    f"Content-Security-Policy: {_CONTENT_POLICY}",
    "X-Content-Type-Options: nosniff",
    "Referrer-Policy: no-referrer",
    "Cross-Origin-Opener-Policy: same-origin",
    "Cross-Origin-Resource-Policy: same-origin",
    "Cache-Control: no-store",
)


class Answer(msgspec.Struct, frozen=True):
    """One HTTP answer. `headers` are beside the ones every answer has; `detail` is a problem's."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = {}
    detail: str = ""

    def encode(self) -> bytes:
        """Return the answer's bytes (HTTP/1.1, connection closed after it)."""
        headers = {"Connection": "close", **self.headers}
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in headers.items()),
            *_SECURITY_HEADERS,
        ]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


class Status(Protocol):
    """What the pages show of the running server."""

    def ready(self) -> bool:
        """Tell whether new clients are welcome."""

    def exposition(self) -> bytes:
        """Return the metrics in Prometheus' text format."""

    def state(self) -> Mapping[str, object]:
        """Return the current phases and figures, for /state."""


def problem(
    status: int,
    detail: str,
    *,
    retry_after: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return an error answer (RFC 9457), with further headers if need be."""
    named = dict(headers or {})
    if retry_after is not None:
        # Whole seconds, rounded up: coming back when it says so must succeed.
        named["Retry-After"] = str(max(1, math.ceil(retry_after)))
    fields = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    body = json.dumps({**fields, "detail": detail}).encode()
    return Answer(status, body, "application/problem+json", named, detail)


def negotiated(answer: Answer, *, html: bool, now: float) -> Answer:
    """Return a problem as who asks prefers it: a page for people, or as it is; `now` is Unix time.

    Any other answer is returned as it is.
    """
    if not answer.detail:
        return answer
    headers = {**answer.headers, "Vary": "Accept"}
    if not html:
        return Answer(answer.status, answer.body, answer.content_type, headers, answer.detail)
    wait = headers.get("Retry-After")
    body = error_page(answer.status, answer.detail, None if wait is None else int(wait), now)
    return Answer(answer.status, body, "text/html; charset=utf-8", headers, answer.detail)


class Pages:
    """Answers by path. `guarded` tells whether the request may see metrics and state."""

    def __init__(self, status: Status) -> None:
        self._status = status
        self._files = _read_dashboard()
        self._open: dict[str, Callable[[], Answer]] = {
            "/healthz": lambda: Answer(200, b"ok\n"),
            "/readyz": self._ready,
        }
        self._guarded: dict[str, Callable[[], Answer]] = {
            "/metrics": self._metrics,
            "/state": self._state,
        }

    def needs_token(self, path: str) -> bool:
        """Tell whether the path is shown to holders of the admin scope only."""
        return path in self._guarded

    def answer(self, path: str) -> Answer:
        """Return the answer to a GET of `path`; the caller has checked the token."""
        page = self._open.get(path) or self._guarded.get(path)
        if page is not None:
            return page()
        file = self._files.get(path)
        if file is not None:
            return Answer(200, file[1], file[0])
        return problem(404, "no such page")

    def _ready(self) -> Answer:
        if self._status.ready():
            return Answer(200, b"ready\n")
        return problem(503, "draining", retry_after=1)

    def _metrics(self) -> Answer:
        return Answer(200, self._status.exposition(), "text/plain; version=0.0.4; charset=utf-8")

    def _state(self) -> Answer:
        return Answer(200, msgspec.json.encode(self._status.state()), "application/json")


def _read_dashboard() -> dict[str, tuple[str, bytes]]:
    """Return path → (content type, bytes) of the dashboard's files; nothing else is served."""
    if not _DASHBOARD.is_dir():
        return {}
    files = {
        f"/{file.name}": (f"{_TYPES[file.suffix]}; charset=utf-8", file.read_bytes())
        for file in sorted(_DASHBOARD.iterdir())
        if file.suffix in _TYPES
    }
    if "/index.html" in files:
        files["/"] = files["/index.html"]
    return files
