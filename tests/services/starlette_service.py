"""Starlette on uvicorn, with wsproto: refuses every handshake with 403 and closes with 1008.

Subscribers need not ask, and events come in an envelope.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator

import h11
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.wsproto_impl import WSProtocol
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection
from wsproto.events import Request as Handshake
from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, RsvBits

from tests.services.desk import SECURITY_HEADERS, Desk, Dialect, Refused, converse, credentials
from tests.services.rules import Tokens, options

MAX_HEADERS = 100
DIALECT = Dialect(
    word="op",
    unauthenticated_status=403,
    unauthorized=1008,
    forbidden=1008,
    bad_message=1003,
    deadline=1008,
    limited=1008,
    strikes=1,
    asks_to_subscribe=False,
    envelope="data",
)


def application(desk: Desk) -> Starlette:
    """Return the application that serves `desk`."""

    async def live(socket: WebSocket) -> None:
        assert socket.client is not None
        headers = socket.headers
        tokens = credentials(socket.query_params.multi_items(), headers.getlist("authorization"))
        host, origins = headers.get("host", ""), headers.getlist("origin")
        abort = socket.scope["state"]["abort"]
        try:
            _check(headers)
            client = desk.enter(socket.client.host, host, origins, tokens, abort)
        except Refused as refused:
            await socket.send_denial_response(_response(refused))
            return
        try:
            await socket.accept()
            await converse(desk, client, _messages(socket), socket.send_text, socket.close)
        except WebSocketDisconnect:
            return  # it is gone
        finally:
            desk.leave(client)

    async def page(request: Request) -> Response:
        assert request.client is not None
        tokens = credentials((), request.headers.getlist("authorization"))
        try:
            _check(request.headers)
            body = desk.page(request.client.host, request.url.path, tokens)
        except Refused as refused:
            return _response(refused)
        return PlainTextResponse(body, headers=SECURITY_HEADERS)

    return Starlette(routes=[WebSocketRoute("/live", live), Route("/{name:path}", page)])


async def _messages(socket: WebSocket) -> AsyncIterator[str | bytes]:
    while True:
        message = await socket.receive()
        if message["type"] != "websocket.receive":
            return
        text = message.get("text")
        yield message["bytes"] if text is None else text


def _check(headers: Headers) -> None:
    """Refuse what h11 lets pass: a body, and headers without number."""
    if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        raise Refused(400, "a request here has no body")
    if len(headers.raw) > MAX_HEADERS:
        raise Refused(431, "too many headers")


def _response(refused: Refused) -> Response:
    return Response(
        refused.body, refused.status, refused.headers, media_type="application/problem+json"
    )


_KEY = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==")
_BAD_HANDSHAKE = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Limit(Extension):
    """Judges a frame by the length its header announces, before anything of it has come."""

    name = "limit"

    def __init__(self, largest_bytes: int) -> None:
        self._largest_bytes = largest_bytes

    def enabled(self) -> bool:
        """It is not negotiated: it changes nothing on the wire."""
        return True

    def offer(self) -> bool:
        """Offer nothing."""
        return False

    def accept(self, offer: str) -> None:
        """Accept nothing."""

    def finalize(self, offer: str) -> None:
        """Nothing was offered."""

    def frame_inbound_header(
        self, _proto: object, _opcode: object, _rsv: RsvBits, payload_length: int
    ) -> CloseReason | RsvBits:
        """Refuse the frame, or claim no reserved bit."""
        if payload_length > self._largest_bytes:
            return CloseReason.MESSAGE_TOO_BIG
        return RsvBits(False, False, False)


class Live(WSProtocol):
    """A WebSocket whose transport the application may drop."""

    close_s = 0.0

    def handle_connect(self, event: Handshake) -> None:
        """Give the application the means."""
        keys = [value for name, value in event.extra_headers if name == b"sec-websocket-key"]
        if len(keys) != 1 or not _KEY.fullmatch(keys[0]):  # wsproto takes any (RFC 6455 4.2.1)
            self.transport.write(_BAD_HANDSHAKE)
            self.transport.close()
            return
        super().handle_connect(event)
        self.close_timeout = self.close_s
        self.scope["state"]["abort"] = self.transport.abort

    def handle_close(self, event: CloseConnection) -> None:
        """Close with a code where wsproto found a fault: uvicorn goes without a word."""
        if self.conn.state is ConnectionState.OPEN and not self.close_sent:
            self.transport.write(self.conn.send(event))
        super().handle_close(event)

    async def send(self, message: ASGISendEvent) -> None:
        """Send; once the handshake is sent, frames have a limit."""
        await super().send(message)
        if message["type"] == "websocket.accept" and not self.transport.is_closing():
            # wsproto negotiates extensions, and offers no other way to see a frame's header.
            self.conn.connection._proto._frame_decoder.extensions.append(
                Limit(self.config.ws_max_size)
            )


class Deadline(H11Protocol):
    """HTTP that does not wait for a request for ever."""

    handshake_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Start the clock."""
        super().connection_made(transport)
        self._late = self.loop.call_later(self.handshake_s, self._cut)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand a handshake on, unless it is of an HTTP that has none (RFC 6455 4.2.1)."""
        if event.http_version == b"1.1":
            super().handle_websocket_upgrade(event)
            return
        self.transport.write(_BAD_HANDSHAKE)
        self.transport.close()

    def _cut(self) -> None:
        if self.transport.get_protocol() is self and self.cycle is None:
            self.transport.abort()


async def main() -> None:
    """Serve until told to stop."""
    told = options(__doc__ or "")
    Deadline.handshake_s = told.handshake_s
    Live.close_s = told.close_s
    desk = Desk(told, Tokens(told.state, "HS256", "starlette-service"), DIALECT)
    config = uvicorn.Config(
        application(desk),
        http=Deadline,
        ws=Live,
        ws_max_size=told.message_bytes,
        ws_ping_interval=told.ping_s,
        ws_ping_timeout=told.pong_s,
        ws_per_message_deflate=False,
        lifespan="off",
        server_header=False,
        access_log=False,
        proxy_headers=False,
        log_level="critical",
        timeout_graceful_shutdown=2,
    )
    listening = socket.create_server(("127.0.0.1", told.port), backlog=512)
    desk.at(listening.getsockname()[1])
    sweeping = asyncio.create_task(desk.sweep())
    await uvicorn.Server(config).serve(sockets=[listening])
    sweeping.cancel()


if __name__ == "__main__":
    asyncio.run(main())
