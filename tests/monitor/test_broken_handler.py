"""A defect of ours while a message is handled costs its connection, and nothing else."""

import asyncio
import time
from pathlib import Path

import pytest

from monitor.host import Monitor
from monitor.server import loop_factory, own_origins
from monitor.session import Session
from monitor.settings import Settings
from monitor.statefolder import open_state_folder
from tests.monitor.peers import masked

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_connection_whose_handler_breaks_ends_and_its_slot_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    settings = Settings(event_loop=loop, connections_per_address=1)
    state = open_state_folder(tmp_path / "state")

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async def connect_three_times() -> list[bytes]:
        monitor = Monitor(
            settings, state, own_origins(settings), clock=time.monotonic, wall=time.time
        )
        running = asyncio.get_running_loop()
        defects: list[object] = []
        running.set_exception_handler(lambda _, context: defects.append(context["exception"]))
        server = await running.create_server(monitor.connect, "127.0.0.1", 0)
        answers = []
        for _ in range(3):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(HANDSHAKE + masked(1, b"{}"))
            answers.append(await reader.read())  # until it ends
            writer.close()
        server.close()
        monitor.close()
        assert [type(defect) for defect in defects] == [ZeroDivisionError] * 3
        return answers

    monkeypatch.setattr(Session, "receive", broken)
    with asyncio.Runner(loop_factory=loop_factory(settings)) as runner:
        answers = runner.run(asyncio.wait_for(connect_three_times(), 10))
    assert [answer.split(b"\r\n")[0] for answer in answers] == [
        b"HTTP/1.1 101 Switching Protocols"
    ] * 3
