"""Clients of the tests: a WebSocket one that speaks JSON, and a raw one that sends any bytes."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect


def connected(port: int, source: str) -> socket.socket:
    """Connect from an address; from the usual one without binding to it first.

    A port that is bound comes from those that servers get too, and might be that of a monitor
    which is being restarted.
    """
    bound = None if source == "127.0.0.1" else (source, 0)
    return socket.create_connection(("127.0.0.1", port), source_address=bound)


class Peer:
    """A WebSocket client from an address of its own."""

    def __init__(self, url: str, *, source: str = "127.0.0.1", **options: Any) -> None:
        parts = urlsplit(url)
        assert parts.port is not None
        sock = connected(parts.port, source)
        self._context = ExitStack()
        connecting = connect(url, sock=sock, compression=None, ping_interval=None, **options)
        self.ws: ClientConnection = self._context.enter_context(connecting)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._context.close()

    def say(self, kind: str, **fields: object) -> None:
        self.ws.send(json.dumps({"type": kind, **fields}))

    def hear(self, timeout: float = 10.0) -> dict[str, Any]:
        """Return the next message."""
        return json.loads(self.ws.recv(timeout))

    def until(self, kind: str) -> list[dict[str, Any]]:
        """Return messages up to and including the next of this type."""
        heard = [self.hear()]
        while heard[-1]["type"] != kind:
            heard.append(self.hear())
        return heard

    def end(self) -> tuple[int, str]:
        """Wait until the server closes; return its close code and reason."""
        with pytest.raises(ConnectionClosed) as raised:
            for _ in iter(lambda: self.ws.recv(15), None):
                pass
        close = raised.value.rcvd
        assert close is not None, "the connection broke without a close frame"
        return close.code, close.reason

    def publish(self, *events: dict[str, object], ref: int = 1) -> dict[str, Any]:
        """Publish and return the answer."""
        self.say("publish", events=list(events), ref=ref)
        return next(m for m in iter(self.hear, None) if m.get("ref") == ref)


class Raw:
    """A TCP connection that sends what it is told."""

    def __init__(self, port: int, *, source: str = "127.0.0.1") -> None:
        self.sock = connected(port, source)
        self.sock.settimeout(15)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def rest(self) -> bytes:
        """Return everything until the server ends the connection."""
        return b"".join(self._chunks())

    def until(self, mark: bytes) -> bytes:
        """Return everything up to and including this mark."""
        heard = b""
        while not heard.endswith(mark):
            came = self.sock.recv(1)
            assert came, f"the connection ended before {mark!r}: {heard!r}"
            heard += came
        return heard

    def _chunks(self) -> Iterator[bytes]:
        while chunk := self.sock.recv(65_536):
            yield chunk

    def upgrade(self, path: str = "/", *headers: str, host: str = "localhost") -> bytes:
        """Send a valid handshake and return the answer's head."""
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {host}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
            *headers,
        ]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n")
        return self.until(b"\r\n\r\n")


def masked(opcode: int, payload: bytes, *, fin: bool = True, flags: int = 0) -> bytes:
    """Return one client frame with an all-zero mask, so that its payload reads as it is."""
    first = (0x80 if fin else 0) | flags | opcode
    size = len(payload)
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 65_536:
        head = bytes([first, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, 0x80 | 127]) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload
