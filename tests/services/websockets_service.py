"""The asyncio server of `websockets`: 401 and 4401, events in an envelope, fragmented answers."""

import asyncio
import http
import logging
import signal
import socket
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.services.client import Client
from tests.services.desk import SECURITY_HEADERS, Desk, Dialect, Refused, converse
from tests.services.desk import credentials as shown
from tests.services.rules import Tokens, options

DIALECT = Dialect(
    word="verb",
    unauthenticated_status=401,
    unauthorized=4401,
    forbidden=4403,
    bad_message=1003,
    deadline=4408,
    limited=4429,
    strikes=20,
    asks_to_subscribe=True,
    envelope="body",
)


class Connection(ServerConnection):
    """A connection that knows its client, and gives back what it holds however it ends."""

    client: Client | None = None
    desk: Desk

    def connection_lost(self, exc: Exception | None) -> None:
        """Give it back."""
        super().connection_lost(exc)
        if self.client is not None:
            self.desk.leave(self.client)


class Service:
    """Answers requests, and talks with those it admits."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def ask(self, connection: Connection, request: Request) -> Response | None:
        """Answer a page, refuse a handshake, or let it go on."""
        headers, parts = request.headers, urlsplit(request.path)
        query = parse_qsl(parts.query, keep_blank_values=True) if parts.path == "/live" else []
        tokens = shown(query, headers.get_all("Authorization"))
        address = connection.remote_address[0]
        host, origins = headers.get("Host", ""), headers.get_all("Origin")
        abort = connection.transport.abort
        try:
            _check(request.method, parts.path, headers)
            if parts.path != "/live":
                return _response(200, self._desk.page(address, parts.path, tokens))
            connection.client = self._desk.enter(address, host, origins, tokens, abort)
        except Refused as refused:
            return _response(refused.status, refused.body, refused.headers)
        return None

    async def talk(self, connection: Connection) -> None:
        """Talk with a client until one of the two ends it."""
        client = connection.client
        assert client is not None

        async def send(text: str) -> None:
            middle = len(text) // 2
            await connection.send(text if "body" in text else [text[:middle], text[middle:]])

        try:
            await converse(self._desk, client, _messages(connection), send, connection.close)
        except ConnectionClosed:
            return  # it is gone


def _check(method: str, path: str, headers: Headers) -> None:
    if method != "GET":
        raise Refused(405, "only GET is served here")
    if headers.get_all("Transfer-Encoding") or headers.get_all("Content-Length"):
        raise Refused(400, "a request here has no body")
    if path == "/live" and headers.get("Upgrade", "").lower() != "websocket":
        raise Refused(426, "a WebSocket handshake is expected")


async def _messages(connection: ServerConnection) -> AsyncIterator[str | bytes]:
    async for message in connection:
        yield message


def _response(status: int, body: str, headers: dict[str, str] | None = None) -> Response:
    phrase = http.HTTPStatus(status).phrase
    kind = {"Content-Type": "text/plain", "Content-Length": str(len(body)), "Connection": "close"}
    return Response(
        status, phrase, Headers({**kind, **SECURITY_HEADERS, **(headers or {})}), body.encode()
    )


async def main() -> None:
    """Serve until told to stop."""
    told = options(__doc__ or "")
    logging.basicConfig(level=logging.CRITICAL)
    desk = Desk(told, Tokens(told.state, "HS384", "websockets-service"), DIALECT)
    Connection.desk = desk
    service = Service(desk)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    listening = socket.create_server(("127.0.0.1", told.port), backlog=512)
    async with serve(
        service.talk,
        sock=listening,
        create_connection=Connection,
        process_request=service.ask,
        compression=None,
        server_header=None,
        max_size=told.message_bytes,
        open_timeout=told.handshake_s,
        close_timeout=told.close_s,
        ping_interval=told.ping_s,
        ping_timeout=told.pong_s,
    ):
        desk.at(listening.getsockname()[1])
        sweeping = asyncio.create_task(desk.sweep())
        await stopped.wait()
        sweeping.cancel()
        desk.drain()


if __name__ == "__main__":
    asyncio.run(main())
