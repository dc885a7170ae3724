"""A service may be hostile, too: the probe's receive path is bounded in time and memory."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable

import psutil
import pytest

from securitytests.probe import http
from securitytests.probe.frames import Opcode, encode_frame
from securitytests.probe.peer import Peer
from securitytests.probe.stream import Endpoint, Stream, UnreachableError
from securitytests.probe.transcript import Transcript
from tests.certificates import self_made

UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"

#: How long the probe listens, and how much longer it may take to notice: on a busy machine long,
#: but what never ends would take for ever.
WITHIN_S = 0.4
LATE_S = 15.0

#: Far above what is kept of a service, far below what these send in the time.
GROWTH_BYTES = 60_000_000

Serve = Callable[[asyncio.StreamWriter], Awaitable[None]]


async def for_ever(writer: asyncio.StreamWriter, data: bytes) -> None:
    data *= 65_536 // len(data) + 1  # in large pieces, so that this server is not the bottleneck
    while True:
        writer.write(data)
        await writer.drain()


@contextlib.asynccontextmanager
async def hostile(start: bytes, endless: bytes):
    """Serve one peer: `start`, then `endless` again and again; with none, silence."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(start)
            if endless:
                await for_ever(writer, endless)
            await reader.read()
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        endpoint = Endpoint("127.0.0.1", port, f"127.0.0.1:{port}", "/")
        stream = await Stream.open(endpoint, Transcript("ZZ1"), 1, "127.9.9.9")
        try:
            yield Peer(stream)
        finally:
            await stream.closed()


REQUEST = http.websocket_request("h", "/", http.new_key())


@pytest.mark.parametrize(
    ("start", "endless"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X-Filler: " + b"x" * 1000 + b"\r\n"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", b"x" * 65_536),
        (b"", b""),
        (b"HTTP/1.1 200 OK\r\nX: ", b""),
        (b"", b"\0" * 1000),
    ],
    ids=["head", "body", "huge body", "silence", "half a head", "no http"],
)
async def test_an_answer_without_end_is_given_up(start, endless):
    async with hostile(start, endless) as peer:
        before, started = psutil.Process().memory_info().rss, asyncio.get_running_loop().time()
        answer = await peer.request(REQUEST, WITHIN_S)
        assert asyncio.get_running_loop().time() - started < WITHIN_S + LATE_S
        assert psutil.Process().memory_info().rss - before < GROWTH_BYTES
        assert not answer.upgraded
        assert answer.response is None or len(answer.response.body) <= http.MAX_BODY_BYTES


FRAMES = {
    "texts": (b"", encode_frame(b"x" * 1000, mask=None)),
    "pings": (b"", encode_frame(b"x" * 100, Opcode.PING, mask=None)),
    "fragments": (
        encode_frame(b"x", fin=False, mask=None),
        encode_frame(b"x" * 1000, Opcode.CONTINUATION, fin=False, mask=None),
    ),
    "empty fragments": (
        encode_frame(b"", fin=False, mask=None),
        encode_frame(b"", Opcode.CONTINUATION, fin=False, mask=None),
    ),
    "a frame of a terabyte": (encode_frame(b"", declared_length=2**40, mask=None), b"x" * 65_536),
    "rubbish": (b"", b"\xff" * 1000),
    "half a frame": (encode_frame(b"", declared_length=1000, mask=None), b""),
    "masked frames": (b"", encode_frame(b"hello")),
}


@pytest.mark.parametrize("name", FRAMES)
async def test_frames_without_end_are_given_up(name):
    start, endless = FRAMES[name]
    async with hostile(UPGRADE + start, endless) as peer:
        assert (await peer.request(REQUEST, 5)).upgraded
        before, started = psutil.Process().memory_info().rss, asyncio.get_running_loop().time()
        ending = await peer.until_end(WITHIN_S)
        heard = await peer.until_text("never said", WITHIN_S)
        assert asyncio.get_running_loop().time() - started < 2 * WITHIN_S + LATE_S
        assert psutil.Process().memory_info().rss - before < GROWTH_BYTES
        assert ending.kind in {"silence", "violation", "reset"}
        assert heard.kind in {"silence", "violation", "reset"}


async def test_who_has_said_its_last_hears_pings_and_a_close_and_answers_neither():
    ping = encode_frame(b"x", Opcode.PING, mask=None)
    close = encode_frame(b"\x03\xe8", Opcode.CLOSE, mask=None)
    async with hostile(UPGRADE + ping + close, b"") as peer:
        assert (await peer.request(REQUEST, 5)).upgraded
        peer.stream.finish()
        assert not await peer.send_text("too late")
        assert [(await peer.receive(5)).kind for _ in range(2)] == ["ping", "close"]


async def test_who_does_not_listen_is_told_apart():
    endpoint = Endpoint("127.0.0.1", 9, "h", "/")
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1 port 9"):
        await Stream.open(endpoint, Transcript("ZZ1"), 1, None)


async def test_a_hang_up_over_tls_that_is_not_answered_ends_all_the_same(tmp_path):
    certificate, key = self_made(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    over = threading.Event()

    def deaf(listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        with context.wrap_socket(accepted, server_side=True):
            over.wait(60)  # it reads nothing, and so answers no close_notify

    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(asyncio.to_thread(deaf, listener))
        port = listener.getsockname()[1]
        trust = ssl.create_default_context(cafile=str(certificate))
        endpoint = Endpoint("127.0.0.1", port, f"localhost:{port}", "/", tls=trust)
        stream = await Stream.open(endpoint, Transcript("ZZ1"), 5, None)
        try:
            assert not await stream.released(0.3)
            await stream.closed()
        finally:
            over.set()
            await serving
