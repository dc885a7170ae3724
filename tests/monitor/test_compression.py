"""Inbound compression on real sockets (RFC 7692): negotiated small, bounded once inflated."""

import json
import zlib

import psutil
import pytest

from .kit import event
from .peers import Raw, masked

pytestmark = pytest.mark.slow

OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
COMPRESSED = 0x40  # RSV1, RFC 7692 section 6


@pytest.fixture
def monitor(start_monitor):
    return start_monitor(compression=True)


def deflated(data):
    """Return one message as RFC 7692 section 7.2.1 makes it, window 2¹², no context."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -12)
    return (deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")


def publication(ref=1, **fields):
    message = {"type": "publish", "events": [event(**fields)], "ref": ref}
    return deflated(json.dumps(message).encode())


def frames(raw, until):
    """Read unmasked frames up to the first whose payload contains `until`; yield them."""
    while True:
        head = exactly(raw, 2)
        size = head[1]
        if size >= 126:
            size = int.from_bytes(exactly(raw, 2 if size == 126 else 8))
        payload = exactly(raw, size)
        yield head[0], payload
        if until in payload:
            return


def exactly(raw, size):
    data = b""
    while len(data) < size:
        chunk = raw.sock.recv(size - len(data))
        assert chunk, f"ended after {data!r}"
        data += chunk
    return data


def test_what_is_agreed_is_a_small_window_and_no_context(monitor):
    with Raw(monitor.port) as raw:
        head = raw.upgrade(f"/?token={monitor.token()}", OFFER).decode()
    (agreed,) = [line for line in head.split("\r\n") if line.startswith("Sec-WebSocket-Ext")]
    assert {part.strip() for part in agreed.partition(":")[2].split(";")} == {
        "permessage-deflate",
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits=12",
        "client_max_window_bits=12",
    }


def test_compressed_messages_are_read_and_answers_are_not_compressed(monitor):
    with (
        Raw(monitor.port) as writer,
        Raw(monitor.port) as reader,
    ):
        reader.upgrade(f"/?token={monitor.token()}", OFFER)
        writer.upgrade(f"/?token={monitor.token('publish')}", OFFER)
        long = "a" * 4_000  # would compress well
        for ref in range(1, 4):
            writer.send(masked(1, publication(ref, message=long), flags=COMPRESSED))
        answers = [*frames(writer, b'"ref":3')]
        writer.send(masked(1, b'{"type":"ping","ref":4}'))  # uncompressed is fine, too
        answers += frames(writer, b'"ref":4')
        heard = [*frames(reader, b'"offset":3}')]
    assert sum(b'"ack"' in payload for _, payload in answers) == 3
    assert sum(long.encode() in payload for _, payload in heard) == 3
    assert {first for first, _ in (*answers, *heard)} == {0x81}


@pytest.mark.parametrize("authenticated", [True, False])
def test_a_bomb_is_refused_before_it_is_inflated(monitor, authenticated):
    bomb = deflated(bytes(64_000_000) if authenticated else bytes(8_000_000))
    assert len(bomb) < (262_144 if authenticated else 10_240)  # its wire size alone is no reason
    process = psutil.Process(monitor.pid)
    with Raw(monitor.port) as raw:
        raw.upgrade(f"/?token={monitor.token('publish')}" if authenticated else "/", OFFER)
        before = process.memory_info().rss
        raw.send(masked(1, bomb, flags=COMPRESSED))
        *_, (first, payload) = frames(raw, (1009).to_bytes(2))
    assert (first, payload[:2]) == (0x88, (1009).to_bytes(2))
    assert process.memory_info().rss - before < 8_000_000


def test_no_compression_is_agreed_to_unless_the_settings_say_so(start_monitor):
    monitor = start_monitor()
    with Raw(monitor.port) as raw:
        head = raw.upgrade(f"/?token={monitor.token('publish')}", OFFER)
        assert b"Extensions" not in head
        raw.send(masked(1, publication(), flags=COMPRESSED))
        *_, (first, _) = frames(raw, (1002).to_bytes(2))
    assert first == 0x88
