"""A broadcaster that does one thing wrong, told on the command line; its URL is its first line."""

import asyncio
import json
import re
import sys
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.http11 import Request, Response

NUMBER = re.compile(r"-(\d{9})\"")


class Contrary:
    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.connections: set[ServerConnection] = set()
        self.events = 0

    def judge(self, connection: ServerConnection, request: Request) -> Response | None:
        only_subscribers = self.fault == "refuses subscribers" and "role=pub" not in request.path
        if self.fault == "refuses all" or only_subscribers:
            return connection.respond(HTTPStatus.FORBIDDEN, "no\n")
        return None

    async def serve(self, connection: ServerConnection) -> None:
        self.connections.add(connection)
        async for message in connection:
            self.events += 1
            broadcast(self.connections, self.made_of(str(message)))
        self.connections.discard(connection)

    def made_of(self, message: str) -> str:
        if self.fault == "sends few" and self.events % 100:
            return "{}"
        if self.fault == "alters numbers" and self.events % 2:
            return NUMBER.sub('-999999999"', message)
        if self.fault == "announces nonsense":
            return json.dumps({"type": "gap", "omitted": [None, "x", -5, 10**400][self.events % 4]})
        return message


async def main(fault: str) -> None:
    contrary = Contrary(fault)
    async with serve(contrary.serve, "127.0.0.1", 0, process_request=contrary.judge) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(json.dumps({"url": f"ws://127.0.0.1:{port}/"}), flush=True)
        await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
