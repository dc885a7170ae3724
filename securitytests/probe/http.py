"""HTTP/1.1 requests written byte by byte, and responses parsed within bounds. Pure."""

import base64
import hashlib
import os
import re
from collections.abc import Iterable, Sequence

import msgspec

#: Largest head of a response taken from a service.
MAX_HEAD_BYTES = 64 * 1024

#: Largest body of a response that is kept; what is beyond it is not read.
MAX_BODY_BYTES = 1024 * 1024

_ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3

#: How a length is written (RFC 9112 sections 6.2 and 7.1), and no longer than any that is meant.
_LENGTH = re.compile(r"[0-9]{1,20}")
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")

Headers = Sequence[tuple[str, str]]


class Request(msgspec.Struct, frozen=True):
    """One request; nothing is added, checked or escaped when it is encoded."""

    target: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    version: str = "HTTP/1.1"
    body: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes; text is Latin-1, so that every byte can be written."""
        lines = [f"{self.method} {self.target} {self.version}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + self.body

    def without(self, *names: str) -> "Request":
        """Return the request without these headers; the case of a name does not matter."""
        gone = {name.lower() for name in names}
        kept = tuple(pair for pair in self.headers if pair[0].lower() not in gone)
        return msgspec.structs.replace(self, headers=kept)

    def with_headers(self, *headers: tuple[str, str]) -> "Request":
        """Return the request with these headers added at the end, repeated ones too."""
        return msgspec.structs.replace(self, headers=(*self.headers, *headers))

    def with_header(self, name: str, value: str) -> "Request":
        """Return the request with this header in place of any of the same name."""
        return self.without(name).with_headers((name, value))


class Response(msgspec.Struct, frozen=True):
    """The head of a response, and its body where one was read."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def all(self, name: str) -> tuple[str, ...]:
        """Return the values of every header of this name, in order."""
        wanted = name.lower()
        return tuple(value for key, value in self.headers if key.lower() == wanted)

    def header(self, name: str) -> str | None:
        """Return the first header of this name, or None."""
        return next(iter(self.all(name)), None)


class MalformedResponseError(Exception):
    """What came is no HTTP/1.x response, or is larger than the probe takes."""


def websocket_request(
    host: str, target: str, key: str, headers: Iterable[tuple[str, str]] = ()
) -> Request:
    """Return a correct opening handshake (RFC 6455 section 4.1)."""
    return Request(
        target,
        (
            ("Host", host),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", key),
            ("Sec-WebSocket-Version", "13"),
            *headers,
        ),
    )


def new_key() -> str:
    """Return a fresh Sec-WebSocket-Key."""
    return base64.b64encode(os.urandom(16)).decode()


def accept_for(key: str) -> str:
    """Return the Sec-WebSocket-Accept that answers a key."""
    digest = hashlib.sha1(key.encode() + _ACCEPT_GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def parse_head(head: bytes) -> Response:
    """Parse a response head up to, not including, its empty line.

    Raises:
        MalformedResponseError: no status line, or a header without a colon.
    """
    lines = head.decode("latin-1").split("\r\n")
    version, _, rest = lines[0].partition(" ")
    status, _, reason = rest.partition(" ")
    if not version.startswith("HTTP/1.") or not status.isdecimal() or len(status) != 3:
        raise MalformedResponseError(f"no HTTP status line, but {lines[0][:80]!r}")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise MalformedResponseError(f"a header without a colon: {line[:80]!r}")
        headers.append((name, value.strip(" \t")))
    return Response(int(status), reason, tuple(headers))


def body_length(response: Response) -> int | None:
    """Return how many bytes of body follow, or None if it lasts until the end of the stream.

    Raises:
        MalformedResponseError: its Content-Length is no length.
    """
    if response.status < 200 or response.status in {204, 304}:
        return 0
    stated = response.header("Content-Length")
    if stated is None:
        return None
    if not _LENGTH.fullmatch(stated):
        raise MalformedResponseError(f"a Content-Length that is none: {stated[:80]!r}")
    return int(stated)


def dechunk(body: bytes) -> bytes:
    """Return the content of a chunked body (RFC 9112 section 7.1); what is cut short stays so.

    Raises:
        MalformedResponseError: the size of a chunk is none.
    """
    content, at = bytearray(), 0
    while (end := body.find(b"\r\n", at)) >= 0:
        size = body[at:end].partition(b";")[0]
        if not _CHUNK_SIZE.fullmatch(size):
            raise MalformedResponseError(f"a chunk of a size that is none: {size[:80]!r}")
        length = int(size, 16)
        if length == 0:
            break
        content += body[end + 2 : end + 2 + length]
        at = end + 2 + length + 2
    return bytes(content)
