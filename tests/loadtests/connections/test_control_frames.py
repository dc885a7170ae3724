"""What a client answers to control frames, without a socket: it keeps no protocol object."""

from pathlib import Path

from websockets.utils import accept_key

import loadtests
from loadtests.connections.connection import Connection, Stage
from monitor.contract.target import load_target
from tests.calibration.known_server import frames, text_frame

_PROFILE = Path(loadtests.__file__).parent / "nullserver.toml"


def ready() -> Connection:
    """A connection whose handshake is over."""
    target = load_target(_PROFILE)
    connection = Connection(target, target.credentials(None), b"wsp-ab-", subscribes=True)
    key = bytes(connection.outgoing).split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
    accept = accept_key(key.decode()).encode()
    connection.outgoing.clear()
    connection.receive(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    assert connection.stage is Stage.READY
    assert not connection.outgoing
    return connection


def test_pings_are_answered_with_what_they_carried_in_their_order() -> None:
    connection = ready()
    event = text_frame(b'{"id":"wsp-ab-000000007"}')
    assert connection.receive(b"\x89\x02ab" + event + b"\x89\x00") == [7]
    assert frames(connection.outgoing) == [(0xA, b"ab"), (0xA, b"")]
    connection.receive(b"\x89\x01c")
    assert frames(connection.outgoing) == [(0xA, b"c")]


def test_a_close_is_answered_and_says_why() -> None:
    connection = ready()
    connection.receive(b"\x88\x06\x03\xf1late")
    assert frames(connection.outgoing) == [(0x8, b"\x03\xf1late")]
    assert connection.stage is Stage.CLOSED
    assert connection.answer == "1009 late"


def test_leaving_says_1000() -> None:
    connection = ready()
    connection.leave()
    assert frames(connection.outgoing) == [(0x8, b"\x03\xe8")]


def test_a_pong_is_not_answered() -> None:
    connection = ready()
    connection.receive(b"\x8a\x00")
    assert not connection.outgoing
    assert connection.stage is Stage.READY
