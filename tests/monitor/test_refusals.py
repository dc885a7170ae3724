"""What breaks HTTP or WebSocket, and pages of foreign origins: refused over raw sockets."""

import json
import re

import pytest

from .peers import Raw, masked

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "https://evil.example",
        "http://localhost.evil.example:{port}",
        "http://localhost:1",
        "https://localhost:{port}",
        "http://LOCALHOST:{port}",
        "http://evil.example:{port}",
    ],
)
def test_a_foreign_origin_is_403_even_with_a_good_token(shared, origin):
    stated = origin.format(port=shared.port)
    with Raw(shared.port) as raw:
        head = raw.upgrade(f"/?token={shared.token()}", f"Origin: {stated}")
    assert head.startswith(b"HTTP/1.1 403 ")
    assert "--allow-origin" in shared.log


def test_a_rebound_host_name_is_not_our_own_origin(shared):
    name = f"evil.example:{shared.port}"
    with Raw(shared.port) as raw:
        raw.send(
            f"GET /?token={shared.token()} HTTP/1.1\r\nHost: {name}\r\nOrigin: http://{name}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        assert raw.rest().startswith(b"HTTP/1.1 403 ")


@pytest.mark.parametrize(
    ("host", "path", "status"),
    [
        ("evil.example", "/", 421),
        ("evil.example:{port}", "/state", 421),
        ("localhost.evil.example", "/app.js", 421),
        ("[::1", "/", 421),
        ("evil.example", "/healthz", 200),
        ("localhost:{port}", "/", 200),
        ("192.0.2.7:{port}", "/", 200),
        ("[2001:db8::7]", "/", 200),
    ],
)
def test_pages_are_not_shown_under_a_name_of_others(shared, host, path, status):
    with Raw(shared.port) as raw:
        name = host.format(port=shared.port)
        raw.send(f"GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        assert raw.rest().startswith(b"HTTP/1.1 %d " % status)


UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: %b\r\nSec-WebSocket-Version: %d\r\n\r\n"
)


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", 405),
        (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET / HTTP/1.0\r\nHost: x\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            400,
        ),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 2_000 + b"\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n", 426),
        (UPGRADE % (b"AAAAAAAAAAAAAAAAAAAAAA==", 8), 426),
        (UPGRADE % (b"short", 13), 400),
    ],
)
def test_what_is_no_proper_request_gets_a_problem_with_the_security_headers(
    shared, request_head, status
):
    with Raw(shared.port) as raw:
        raw.send(request_head)
        answer = raw.rest()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"application/problem+json" in head
    assert b"nosniff" in head
    assert b"Server:" not in head
    assert json.loads(body)["status"] == status
    assert "Traceback" not in shared.log


def test_a_wrong_version_is_told_the_right_one(shared):
    with Raw(shared.port) as raw:
        raw.send(UPGRADE % (b"AAAAAAAAAAAAAAAAAAAAAA==", 8))
        head = raw.rest()
    assert b"Sec-WebSocket-Version: 13" in head


FRAMES = {
    "unmasked": (b"\x81\x02{}", 1002),
    "reserved bit": (masked(1, b"{}", flags=0x40), 1002),
    "reserved opcode": (masked(3, b""), 1002),
    "fragmented control": (masked(9, b"", fin=False), 1002),
    "long control": (masked(9, b"x" * 126), 1002),
    "continuation of nothing": (masked(0, b"x"), 1002),
    "invalid UTF-8": (masked(1, b"\xff"), 1007),
    "oversized": (b"\x81\xff" + (2**40).to_bytes(8, "big"), 1009),
    "binary": (masked(2, b"{}"), 4400),
    "endless fragments": (masked(1, b" ", fin=False) + masked(0, b" ", fin=False) * 100, 4400),
    "invalid close code": (masked(8, (1005).to_bytes(2, "big")), 1002),
}


@pytest.mark.parametrize("case", FRAMES)
def test_a_frame_that_breaks_the_protocol_closes_with_the_code_for_it(shared, case):
    frames, code = FRAMES[case]
    with Raw(shared.port) as raw:
        assert b" 101 " in raw.upgrade(f"/?token={shared.token()}")
        raw.send(frames)
        rest = raw.rest()
    assert re.search(rb"\x88." + code.to_bytes(2, "big"), rest, re.DOTALL)
    assert "Traceback" not in shared.log


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 10])
def test_frames_sent_behind_the_request_are_answered_after_the_101(shared, cut):
    token = shared.token()
    head = UPGRADE % (b"AAAAAAAAAAAAAAAAAAAAAA==", 13)
    request = head.replace(b"GET / ", f"GET /?token={token}&stream=off ".encode())
    whole = request + masked(9, b"hi") + b"\x81\x02{}"  # a ping, then an unmasked frame
    at = len(request) - cut
    with Raw(shared.port) as raw:
        raw.send(whole[:at])
        raw.send(whole[at:])
        answer = raw.rest()
    assert answer.startswith(b"HTTP/1.1 101 ")
    _, _, frames = answer.partition(b"\r\n\r\n")
    assert b"\x8a\x02hi" in frames
    assert (1002).to_bytes(2, "big") in frames
