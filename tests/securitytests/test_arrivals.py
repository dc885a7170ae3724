"""What has arrived by a deadline counts as heard, and from when it arrived, however busy we are."""

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator

import pytest

from securitytests.probe.frames import Opcode, close_payload
from securitytests.probe.peer import Peer
from securitytests.probe.stream import Endpoint, Stream, StreamEndedError
from securitytests.probe.transcript import Transcript


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[tuple[Stream, socket.socket]]:
    """Yield a stream and the other end, which speaks without the event loop."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address, port = listening.getsockname()
        where = Endpoint(address, port, f"{address}:{port}", "/")
        stream = await Stream.open(where, Transcript("ZZ1"), 1, None)
        other, _ = listening.accept()
        with other:
            try:
                yield stream, other
            finally:
                await stream.closed()


def stand_still(seconds: float) -> None:
    """Keep the event loop from running: what is tried here."""
    time.sleep(seconds)


async def read_by_the_loop() -> None:
    """Return when the loop has looked at its sockets, whatever was waiting there."""
    async with connected() as (later, other):
        other.sendall(b"x")
        assert await later.receive(5) == b"x"


@pytest.mark.parametrize("said", [b"in time", b""])
async def test_what_came_in_time_is_no_silence_because_the_loop_stood_still(said):
    async with connected() as (stream, other):
        hearing = asyncio.create_task(stream.receive(0.05))
        await asyncio.sleep(0)
        if said:
            other.sendall(said)
        else:
            other.shutdown(socket.SHUT_WR)
        stand_still(0.1)
        assert await hearing == said


async def test_a_message_that_came_in_time_is_heard_though_the_loop_stood_still():
    async with connected() as (stream, other):
        hearing = asyncio.create_task(Peer(stream).receive(0.05))
        await asyncio.sleep(0)
        other.sendall(bytes([0x80 | Opcode.TEXT, 2]) + b"hi")
        stand_still(0.1)
        assert (await hearing).text == "hi"


async def test_what_is_read_late_is_told_with_the_time_it_came():
    async with connected() as (stream, other):
        peer = Peer(stream)
        other.sendall(bytes([0x80 | Opcode.TEXT, 2]) + b"hi")
        await read_by_the_loop()
        between = asyncio.get_running_loop().time()
        closing = close_payload(1000)
        other.sendall(bytes([0x80 | Opcode.CLOSE, len(closing)]) + closing)
        await read_by_the_loop()
        asked = asyncio.get_running_loop().time()
        heard = await peer.receive(5)
        ending = await peer.until_end(5)
        assert heard.at_s <= between <= ending.at_s <= asked
        assert (ending.code, ending.after_s) == (1000, 0.0)
        assert ending.since(between).after_s == ending.at_s - between


async def test_an_end_without_a_word_is_told_with_the_time_it_came():
    async with connected() as (stream, other):
        other.close()
        await read_by_the_loop()
        asked = asyncio.get_running_loop().time()
        ending = await Peer(stream).until_end(5)
        assert (ending.kind, ending.at_s <= asked) == ("eof", True)


def reset(other: socket.socket) -> None:
    """Break the connection (RST), as a machine that crashed would."""
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    other.close()


async def test_what_came_before_a_reset_is_heard_first_and_the_reset_then():
    async with connected() as (stream, other):
        closing = close_payload(4408)
        other.sendall(bytes([0x80 | Opcode.CLOSE, len(closing)]) + closing)
        await read_by_the_loop()
        between = asyncio.get_running_loop().time()
        reset(other)
        await read_by_the_loop()
        asked = asyncio.get_running_loop().time()
        ending = await Peer(stream).until_end(5)
        assert (ending.kind, ending.code, ending.at_s <= between) == ("close", 4408, True)
        with pytest.raises(StreamEndedError, match="reset"):
            await stream.receive(5)
        assert between <= stream.received_at <= asked


async def test_a_reset_with_nothing_before_it_is_told_at_once():
    async with connected() as (stream, other):
        hearing = asyncio.create_task(Peer(stream).until_end(5))
        await asyncio.sleep(0)
        reset(other)
        assert (await hearing).kind == "reset"
