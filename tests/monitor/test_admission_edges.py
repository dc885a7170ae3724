"""Requests at the edges of what is admitted, over real sockets: descriptors, probes, the log."""

from contextlib import suppress

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from .kit import event
from .peers import Peer, Raw, masked

pytestmark = pytest.mark.slow


def test_fewer_connections_are_served_than_descriptors_allow_and_newcomers_are_told(start_monitor):
    monitor = start_monitor()
    process = psutil.Process(monitor.pid)
    soft, hard = process.rlimit(psutil.RLIMIT_NOFILE)
    assert soft >= min(5_256, hard)
    monitor.stop()
    monitor.under = ["prlimit", "--nofile=64:64"]
    monitor.start()
    assert "32 connections at a time, not the 5000" in monitor.log
    token = monitor.token()
    peers = [Raw(monitor.port, source=f"127.0.1.{n // 8 + 1}") for n in range(32)]
    with Raw(monitor.port, source="127.0.2.1") as raw:
        assert raw.upgrade(f"/?token={token}").startswith(b"HTTP/1.1 503 ")
    for peer in peers:
        peer.sock.close()
    with Peer(f"{monitor.url}?token={token}", source="127.0.2.2") as reader:
        assert reader.hear()["type"] == "auth_ok"
    assert "Traceback" not in monitor.log


def test_probes_are_answered_to_an_address_with_all_its_connections(start_monitor):
    monitor = start_monitor()
    held = [Raw(monitor.port) for _ in range(10)]
    for path, status in (("/healthz", b"200"), ("/readyz", b"200"), ("/", b"429")):
        with Raw(monitor.port) as raw:
            raw.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert raw.rest().startswith(b"HTTP/1.1 " + status)
    for raw in held:
        raw.sock.close()


def page(monitor, raw):
    """Ask as the monitor's own page would; return the answer and what the socket then said."""
    own = f"localhost:{monitor.port}"
    head = raw.upgrade(f"/?token={monitor.token()}", f"Origin: http://{own}", host=own)
    return head[9:12], raw.rest() if b" 101 " in head else b""


def told(code, error, rest):
    return code.to_bytes(2, "big") in rest and f'"code":"{error}"'.encode() in rest


def test_a_page_without_a_slot_learns_why_at_most_twice_at_a_time(start_monitor):
    monitor = start_monitor(connections_per_address=3, max_connections=5)
    held = [Raw(monitor.port) for _ in range(3)]
    with Raw(monitor.port) as raw:
        status, rest = page(monitor, raw)
        assert status == b"101"
        assert told(4429, "rate_limited", rest)
    held += [Raw(monitor.port, source="127.0.0.3") for _ in range(2)]
    with Raw(monitor.port, source="127.0.0.4") as raw:
        status, rest = page(monitor, raw)
        assert status == b"101"
        assert told(1013, "unavailable", rest)
        assert b'"retry_after":20.0' in rest
    with (
        Raw(monitor.port, source="127.0.0.5") as one,
        Raw(monitor.port, source="127.0.0.5") as two,
        Raw(monitor.port, source="127.0.0.5") as three,
    ):
        for raw in (one, two):
            own = f"localhost:{monitor.port}"
            assert b" 101 " in raw.upgrade("/", f"Origin: http://{own}", host=own)
        assert page(monitor, three)[0] == b"503"
    for raw in held:
        raw.sock.close()


def test_foreign_origins_are_limited_like_any_request_and_logged_in_bounds(start_monitor):
    monitor = start_monitor(requests_per_window=40)
    answers = []
    for number in range(50):
        with Raw(monitor.port) as raw:
            origin = f"https://me:hunter2@{number}.example/" + "x" * 3_000
            answers.append(raw.upgrade("/", f"Origin: {origin}")[:12])
    assert answers == [b"HTTP/1.1 403"] * 40 + [b"HTTP/1.1 429"] * 10
    assert monitor.log.count("refused a page") == 20
    assert "hunter2" not in monitor.log
    assert max(map(len, monitor.log.splitlines())) < 400


def test_failures_limits_and_evictions_are_told_once_with_the_address(start_monitor):
    monitor = start_monitor(requests_per_window=30, connections_per_address=2, strikes=3)
    for source in ("127.0.0.5", "127.0.0.6"):
        for _ in range(5):
            with Raw(monitor.port, source=source) as raw:
                assert raw.upgrade("/?token=wrong").startswith(b"HTTP/1.1 401 ")
    with Peer(f"{monitor.url}?token={monitor.token()}", source="127.0.0.7") as peer:
        peer.say("publish", events=[event()])
        with suppress(ConnectionClosed):  # the limit may be reached before the last of them
            for _ in range(40):
                peer.say("ping")
        assert peer.end()[0] == 4429
    held = [Raw(monitor.port, source="127.0.0.8") for _ in range(2)]
    with Raw(monitor.port, source="127.0.0.8") as raw:
        assert raw.upgrade().startswith(b"HTTP/1.1 429 ")
    for raw in held:
        raw.sock.close()
    told = [line.partition(" info incidents: ")[2] for line in monitor.log.splitlines()]
    assert [line for line in told if line] == [
        "127.0.0.5: authentication failed",
        "127.0.0.6: authentication failed",
        "127.0.0.7: asked for what its token does not allow",
        "127.0.0.7: over the limit of requests",
        "127.0.0.7: connection closed: 4429 over the limit",
        "127.0.0.8: over the limit of connections",
    ]


def test_every_refusal_is_counted_by_its_reason(start_monitor):
    monitor = start_monitor(public_status=True)
    for request in (b"nonsense\r\n\r\n", b"POST / HTTP/1.1\r\nHost: x\r\n\r\n"):
        with Raw(monitor.port) as raw:
            raw.send(request)
            raw.rest()
    with Raw(monitor.port) as raw:
        raw.upgrade(f"/?token={monitor.token()}")
        raw.send(masked(3, b""))
        raw.rest()
    bearer = {"additional_headers": {"Authorization": f"Bearer {monitor.token('publish')}"}}
    with Peer(monitor.url, **bearer) as writer:
        writer.hear()
        for kind, fields in (
            ("nothing", {}),
            ("subscribe", {}),
            ("publish", {"events": [event(colour=1)]}),
        ):
            writer.say(kind, **fields)
            assert writer.hear()["type"] == "error"
    with Raw(monitor.port) as raw:
        raw.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        metrics = raw.rest().decode()
    for reason in ("http_400", "http_405", "protocol", "bad_message", "forbidden", "invalid_event"):
        assert f'wsproof_refusals_total{{reason="{reason}"}} 1.0' in metrics
