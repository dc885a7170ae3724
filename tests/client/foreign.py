"""Small foreign servers: real sockets that answer what a test wants answered."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

from websockets.asyncio.server import Request, Response, ServerConnection, serve

AUTH_OK = json.dumps(
    {
        "type": "auth_ok",
        "subject": "s",
        "scope": ["subscribe"],
        "expires_at": 4_000_000_000,
        "idle_timeout": 300,
    }
)
Handler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def answering(
    handler: Handler,
    status: int = 101,
    headers: dict[str, str] | None = None,
    body: bytes = b"no\n",
) -> AsyncIterator[str]:
    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        if status == 101:
            return None
        response = connection.respond(HTTPStatus(status), "")
        del response.headers["Content-Length"]
        response.headers.update({"Content-Length": str(len(body)), **(headers or {})})
        response.body = body
        return response

    async with serve(handler, "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}"
