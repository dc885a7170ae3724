"""aiohttp: 401 before the handshake, codes of its own after it; clients ask to subscribe.

Events come flat, with one more field beside their own.
"""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator

from aiohttp import WSMsgType, web

from tests.services.desk import SECURITY_HEADERS, Desk, Dialect, Refused, converse, credentials
from tests.services.rules import Tokens, options

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


def application(desk: Desk) -> web.Application:
    """Return the application that serves `desk`."""

    async def live(request: web.Request) -> web.StreamResponse:
        told = desk.options
        response = web.WebSocketResponse(
            compress=False,
            heartbeat=told.ping_s,
            max_msg_size=told.message_bytes,
            timeout=told.close_s,
        )
        if not response.can_prepare(request).ok:
            raise Refused(426, "a WebSocket handshake is expected")
        tokens = credentials(request.query.items(), request.headers.getall("Authorization", []))
        assert request.transport is not None
        origins, abort = request.headers.getall("Origin", []), request.transport.abort
        client = desk.enter(request.remote or "", request.host, origins, tokens, abort)
        try:
            await response.prepare(request)

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
    async for message in response:
        if message.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
            yield message.data


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
    response.headers.update(SECURITY_HEADERS)
    response.headers["Server"] = "live"


async def main() -> None:
    """Serve until told to stop."""
    told = options(__doc__ or "")
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
