"""Judges one HTTP request: a page, a refusal, or a handshake with its credentials. Pure.

The WebSocket library checks the handshake itself; what stands here are this server's own rules:
paths, Origin, credentials, and the HTTP answers it words differently.
"""

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit

import msgspec
from websockets.datastructures import Headers
from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.http11 import Request

from monitor.pages import UNCOUNTED, Answer, problem

_OTHER_METHOD = re.compile(rb"(HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT) ")

#: Longest `Accept` that is read; those of browsers have some 150 characters.
_MAX_ACCEPT_CHARACTERS = 1_000

#: A weight of `Accept` (RFC 9110 section 12.4.2).
_WEIGHT = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


class Asked(msgspec.Struct, frozen=True):
    """What a request asks for. `tokens` holds every credential found, in the order found.

    `foreign`: a page that may not connect asks; `misdirected`: the host is called by a name that
    is not its own; `prefers_html`: an answer in words for people is preferred.
    """

    path: str
    upgrade: bool
    origin: str | None
    foreign: bool
    misdirected: bool
    tokens: tuple[str, ...]
    malformed_credentials: bool
    stream: bool
    prefers_html: bool = False

    @property
    def from_page(self) -> bool:
        """Whether a browser page that may connect asks: it is not shown an HTTP answer."""
        return self.origin is not None and not self.foreign

    @property
    def probe(self) -> bool:
        """Whether it asks how the server is: answered at any time, and never counted."""
        return self.path in UNCOUNTED and not self.upgrade

    @property
    def token(self) -> str | None:
        """The single credential, or None when there is none."""
        return self.tokens[0] if self.tokens else None

    @property
    def ambiguous(self) -> bool:
        """Whether credentials are repeated, conflicting or of another scheme."""
        return self.malformed_credentials or len(self.tokens) > 1


class Origins(msgspec.Struct, frozen=True):
    """Which browser pages may connect: this server's own, and those allowed by name.

    Loopback is no exception. A page of a rebound host name has that name in Origin and Host
    alike, so a page is our own only if the name it shares with Host is one of `own_hosts`.
    """

    own_hosts: frozenset[str]
    schemes: frozenset[str]
    allowed: frozenset[str] = frozenset()

    def admit(self, origin: str, host: str) -> bool:
        """Tell whether a page of `origin` may connect to the server addressed as `host`."""
        if origin in self.allowed:
            return True
        try:
            parts = urlsplit(origin)
            name = parts.hostname
        except ValueError:
            return False
        return (
            origin == f"{parts.scheme}://{parts.netloc}"
            and parts.scheme in self.schemes
            and parts.netloc == host
            and name in self.own_hosts
        )

    def serve(self, host: str) -> bool:
        """Tell whether the server is called by an address, or by a name of its own.

        A name of others may be pointed at it, so that their page reads ours as its own.
        """
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self.own_hosts or _is_address(name)


def read(request: Request, origins: Origins) -> Asked | Answer:
    """Read a request, or return the answer that refuses it before anything else is looked at."""
    headers = request.headers
    if request.method != "GET":
        return _not_get()
    if request.protocol != "HTTP/1.1":
        return problem(505, "HTTP/1.1 is served here")
    if len(headers.get_all("Host")) != 1:
        return problem(400, "exactly one Host header is required")
    if "Transfer-Encoding" in headers or headers.get_all("Content-Length") not in ([], ["0"]):
        return problem(400, "a request here has no body")
    try:
        parts = urlsplit(request.path)
        query = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=32)
    except ValueError:
        return problem(400, "malformed request target")
    stated = headers.get_all("Origin")
    if len(stated) > 1:
        return problem(400, "more than one Origin header")
    origin = stated[0] if stated else None
    schemes, bearer = _authorization(headers)
    in_query = [value for name, value in query if name == "token"]
    return Asked(
        path=parts.path,
        upgrade=any("websocket" in value.lower() for value in headers.get_all("Upgrade")),
        origin=origin,
        foreign=origin is not None and not origins.admit(origin, headers["Host"]),
        misdirected=not origins.serve(headers["Host"]),
        tokens=(*in_query, *bearer),
        malformed_credentials=schemes != len(bearer),
        stream=("stream", "off") not in query,
        prefers_html=_prefers_html(headers.get_all("Accept")),
    )


def unreadable(error: Exception, start: bytes) -> Answer:
    """Return the answer to bytes that are no request for us; `start` is how they began."""
    cause = error.__cause__ or error
    if _OTHER_METHOD.match(start):
        return _not_get()
    if isinstance(cause, RequestLineTooLong):
        return problem(414, "request line too long")
    if isinstance(cause, HeaderLineTooLong | TooManyHeaders):
        return problem(431, "header fields too large")
    return problem(400, "not an HTTP/1.1 request")


def refused_upgrade(status: int, request: Request) -> Answer:
    """Return our wording of the library's refusal of a handshake.

    A wrong version is told the right one (RFC 6455 section 4.4).
    """
    upgrade = {"Upgrade": "websocket", "Connection": "close, Upgrade"}
    if request.headers.get_all("Sec-WebSocket-Version") != ["13"]:
        upgrade["Sec-WebSocket-Version"] = "13"
        return problem(426, "WebSocket version 13 is served here", headers=upgrade)
    if status == 426:
        return problem(426, "a WebSocket handshake is expected", headers=upgrade)
    return problem(status, "not a valid WebSocket handshake")


def _not_get() -> Answer:
    return problem(405, "only GET is served here", headers={"Allow": "GET"})


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _prefers_html(accept: Iterable[str]) -> bool:
    """Tell whether HTML is asked for by name, and JSON is not at least as welcome (RFC 9110).

    Browsers name HTML first where a person goes to a page; programs say `*/*`, JSON or nothing.
    """
    weights = {"text/html": 0.0}
    wanted = ",".join(accept)
    if len(wanted) > _MAX_ACCEPT_CHARACTERS:  # no browser's; to read it all would take long
        return False
    for part in wanted.lower().split(","):
        media, *parameters = (each.strip() for each in part.split(";"))
        weights[media] = _weight(parameters)
    html = weights.pop("text/html")
    json = max(weights.get(each, 0.0) for each in ("application/problem+json", "application/json"))
    return html > json and html >= weights.get("*/*", 0.0)


def _weight(parameters: Iterable[str]) -> float:
    """Return the weight among a media range's parameters, 1 if there is none, 0 if unreadable."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.rstrip() == "q":
            return float(value) if _WEIGHT.fullmatch(value) else 0.0
    return 1.0


def _authorization(headers: Headers) -> tuple[int, list[str]]:
    """Return how many Authorization headers there are, and the Bearer tokens among them."""
    values = headers.get_all("Authorization")
    bearer = []
    for value in values:
        scheme, _, token = value.strip().partition(" ")
        if scheme.lower() == "bearer" and token:
            bearer.append(token.strip())
    return len(values), bearer
