"""aiohttp: 401 before the handshake, codes of its own after it; clients ask to subscribe.

Events come flat, with one more field beside their own.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator
from http import HTTPStatus

from aiohttp import HttpVersion11, WSMsgType, web

from tests.services.client import GONE, Client
from tests.services.desk import (
    SECURITY_HEADERS,
    Desk,
    Dialect,
    Refused,
    converse,
    credentials,
)
from tests.services.rules import Tokens, Window, options

DIALECT = Dialect(
    word="kind",
    unauthenticated_status=401,
    unauthorized=3000,
    forbidden=3003,
    bad_message=1003,
    deadline=3008,
    limited=4290,
    strikes=5,
    asks_to_subscribe=True,
)


HEADERS = {**SECURITY_HEADERS, "Server": "live"}
PROTOCOL_ERROR = 1002
MAX_FRAGMENTS = 100
#: Pings and pongs of one connection in a window.
MAX_CONTROL_FRAMES = 200


class Watchful(asyncio.Protocol):
    """Stands before aiohttp's protocol, which takes frames without a mask (RFC 6455 5.1).

    It takes any number of fragments and of pings as well. Whoever broke a rule is not heard again.
    """

    def __init__(self, behind: asyncio.Protocol, client: Client, window_s: float) -> None:
        self._behind = behind
        self._client = client
        self._head = bytearray()
        self._payload_bytes = 0
        self._fragments = 0
        self._control = Window(MAX_CONTROL_FRAMES, window_s)
        self._deaf = False
        self.eof_received = behind.eof_received
        self.connection_lost = behind.connection_lost
        self.pause_writing = behind.pause_writing
        self.resume_writing = behind.resume_writing

    def data_received(self, data: bytes) -> None:
        """Hand frames on; end the connection at one that may not come."""
        if self._deaf:
            return
        broken = None if self._client.ended is not None else self._broken(data)
        if broken is None:
            self._behind.data_received(data)
        else:
            self._deaf = True
            self._client.end(*broken)

    def _broken(self, data: bytes) -> tuple[int, str] | None:
        """Read the heads of frames; return the code and the reason to end with, if there is one."""
        at = 0
        while at < len(data):
            if self._payload_bytes:
                taken = min(self._payload_bytes, len(data) - at)
                self._payload_bytes -= taken
                at += taken
                continue
            self._head.append(data[at])
            at += 1
            if len(self._head) < 2:
                continue
            if not self._head[1] & 0x80:
                return PROTOCOL_ERROR, "frames are masked"
            length = self._head[1] & 0x7F
            wide = {126: 2, 127: 8}.get(length, 0)
            if len(self._head) == 2 + wide:
                if self._too_many(self._head[0]):
                    return DIALECT.limited, "too many frames"
                announced = int.from_bytes(self._head[2:]) if wide else length
                self._payload_bytes = announced + 4  # the mask
                self._head.clear()
        return None

    def _too_many(self, first: int) -> bool:
        """Count a frame, of which the first byte tells what it is."""
        if first & 0x08:
            return self._control.hit("") > 0
        self._fragments += 1
        broken = self._fragments > MAX_FRAGMENTS
        if first & 0x80:
            self._fragments = 0
        return broken


def application(desk: Desk) -> web.Application:
    """Return the application that serves `desk`."""

    async def live(request: web.Request) -> web.StreamResponse:
        told = desk.options
        response = web.WebSocketResponse(
            autoclose=False,  # a close is answered below
            compress=False,
            heartbeat=told.ping_s,
            max_msg_size=told.message_bytes + 1,  # aiohttp refuses what is not below it
            timeout=told.close_s,
        )
        if request.version != HttpVersion11:
            raise Refused(505, "HTTP/1.1 is served here")
        if not response.can_prepare(request).ok:
            raise Refused(426, "a WebSocket handshake is expected")
        tokens = credentials(request.query.items(), request.headers.getall("Authorization", []))
        assert request.transport is not None
        origins, abort = request.headers.getall("Origin", []), request.transport.abort
        client = desk.enter(request.remote or "", request.host, origins, tokens, abort)
        try:
            await response.prepare(request)
            request.transport.set_protocol(Watchful(request.protocol, client, told.window_s))

            async def close(code: int, reason: str) -> None:
                await response.close(code=code, message=reason.encode())

            await converse(desk, client, _messages(response), response.send_str, close)
        except ConnectionError:
            pass  # it is gone
        finally:
            desk.leave(client)
        return response

    async def page(request: web.Request) -> web.StreamResponse:
        tokens = credentials((), request.headers.getall("Authorization", []))
        return web.Response(text=desk.page(request.remote or "", request.path, tokens))

    app = web.Application(middlewares=[_refusals])
    app.on_response_prepare.append(_headers)
    app.router.add_get("/live", live, allow_head=False)
    app.router.add_get("/{name:.*}", page, allow_head=False)
    return app


async def _messages(response: web.WebSocketResponse) -> AsyncIterator[str | bytes]:
    """Yield what the client says; answer its close, whose code aiohttp would take for good.

    1006 is for an endpoint to tell itself, and may not be sent (RFC 6455 section 7.4.1).
    """
    async for message in response:
        if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            yield message.data
    if not response.closed:
        forbidden = response.close_code == GONE
        await response.close(code=PROTOCOL_ERROR if forbidden else response.close_code or 1000)


@web.middleware
async def _refusals(request: web.Request, handler: object) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return web.Response(
            text=refused.body,
            status=refused.status,
            headers=refused.headers,
            content_type="application/problem+json",
        )


async def _headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


def _say_no_more(
    self: web.RequestHandler,
    request: web.BaseRequest,
    status: int = 500,
    exc: BaseException | None = None,
    message: str | None = None,
) -> web.StreamResponse:
    """Answer an error without repeating the request, in whose URL there may be a token.

    What is no HTTP is answered without the application, so its headers are put in here: aiohttp's
    own would tell its version and Python's.
    """
    del message
    answer = _handle_error(self, request, status, exc, HTTPStatus(status).phrase)
    answer.headers.update(HEADERS)
    return answer


_handle_error = web.RequestHandler.handle_error
web.RequestHandler.handle_error = _say_no_more


async def main() -> None:
    """Serve until told to stop."""
    told = options(__doc__ or "")
    logging.basicConfig(level=logging.CRITICAL)  # aiohttp's log would have requests in it
    desk = Desk(told, Tokens(told.state, "HS512", "aiohttp-service"), DIALECT)
    runner = web.AppRunner(application(desk), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", told.port), backlog=512)
    await web.SockSite(runner, listening).start()
    desk.at(listening.getsockname()[1])
    sweeping = asyncio.create_task(desk.sweep())
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    desk.drain()
    await runner.cleanup()
    sweeping.cancel()


if __name__ == "__main__":
    asyncio.run(main())
