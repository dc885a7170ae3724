"""Peers that ask much and read little, over real sockets: memory is bounded, promises are kept."""

import json
import signal
import socket
import time

import psutil
import pytest

from .kit import event
from .peers import Peer, Raw, masked

pytestmark = pytest.mark.slow


def bearer(token):
    return {"additional_headers": {"Authorization": f"Bearer {token}"}}


def fill_states(monitor, runs, phases, text):
    """Publish one event of every phase of every run."""
    with Peer(monitor.url, **bearer(monitor.token("publish"))) as writer:
        writer.hear()
        for run in range(runs):
            started = [
                event(phase=f"p{phase}", run=f"r{run}", message=text) for phase in range(phases)
            ]
            for at in range(0, phases, 50):
                assert writer.publish(*started[at : at + 50])["type"] == "ack"


def test_subscribing_over_and_over_without_reading_takes_no_memory(start_monitor):
    monitor = start_monitor(publish_events_per_s=100_000)
    fill_states(monitor, 18, 200, "x" * 1_000)  # 4 MB of states, nearly all there may be
    process = psutil.Process(monitor.pid)
    with Raw(monitor.port) as raw:
        raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.upgrade(f"/?token={monitor.token()}&stream=off")
        before = process.memory_info().rss
        raw.send(masked(1, b'{"type":"subscribe"}') * 90)
        with Peer(f"{monitor.url}?token={monitor.token()}", source="127.0.0.2") as honest:
            fence = honest.until("subscribed")[-1]
        assert fence["count"] == 3_600
        assert process.memory_info().rss - before < 8 * 2**20


def test_pipelined_messages_are_answered_in_order_once_the_answers_are_read(start_monitor):
    monitor = start_monitor(publish_events_per_s=100_000)
    fill_states(monitor, 5, 200, "x" * 1_000)
    asked = []
    for ref in range(0, 12, 3):
        asked += [
            {"type": "subscribe", "ref": ref},
            {"type": "unsubscribe", "ref": ref + 1},
            {"type": "ping", "ref": ref + 2},
        ]
    with Peer(f"{monitor.url}?token={monitor.token()}&stream=off", max_queue=2) as peer:
        peer.hear()
        for message in asked:
            peer.ws.send(json.dumps(message))
        answers = []
        states = 0
        while len(answers) < len(asked):
            heard = peer.hear()
            if heard["type"] == "phase_update":
                states += 1
            else:
                answers.append((heard["type"], heard["ref"]))
    kinds = ["subscribed", "unsubscribed", "pong"] * 4
    assert answers == [(kind, ref) for ref, kind in enumerate(kinds)]
    assert states == 4 * 1_000


def test_what_a_fence_promises_follows_whole_to_a_reader_that_cannot_take_it_at_once(start_monitor):
    monitor = start_monitor(publish_events_per_s=100_000)
    with Peer(monitor.url, **bearer(monitor.token("publish"))) as writer:
        writer.hear()
        for _ in range(8):
            assert writer.publish(*[event(message="m" * 60)] * 1_000)["type"] == "ack"
    with Raw(monitor.port) as raw:
        raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        raw.upgrade(f"/?token={monitor.token()}&stream=off")
        raw.send(masked(1, b'{"type":"subscribe"}'))
        received = b""
        while b'"subscribed"' not in received:
            received += raw.sock.recv(65_536)
        epoch = received.partition(b'"epoch":"')[2][:32].decode()
        since = json.dumps({"type": "subscribe", "since": {"epoch": epoch, "offset": 0}})
        raw.send(masked(1, since.encode()))
        while b'"offset":8000}' not in received[-70_000:]:
            received += raw.sock.recv(65_536)
    assert b'"recovered":true,"count":8000' in received
    assert b'"gap"' not in received
    assert received.count(b'"type":"phase_progress"') == 8_000


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_was_published_before_a_stop_is_delivered_before_the_farewell(start_monitor, number):
    monitor = start_monitor(drain_timeout_s=30)
    with (
        Raw(monitor.port) as reader,
        Peer(monitor.url, **bearer(monitor.token("publish"))) as writer,
    ):
        reader.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        reader.upgrade(f"/?token={monitor.token()}")
        writer.hear()
        published = [event(type="file_trashed", path="p" * 500) for _ in range(300)]
        for sent in published:
            del sent["progress"]
        for _ in range(10):
            assert writer.publish(*published)["type"] == "ack"
        psutil.Process(monitor.pid).send_signal(number)
        received = reader.rest()
    assert received.count(b'"type":"file_trashed"') == 3_000
    assert received.index(b'"offset":3000}') < received.index(b'"server_shutdown"')


def test_a_server_that_is_stopping_says_so_and_takes_nothing_more(start_monitor):
    monitor = start_monitor(drain_timeout_s=120, close_timeout_s=2)
    with (
        Raw(monitor.port) as reader,
        Peer(monitor.url, **bearer(monitor.token("publish"))) as writer,
    ):
        reader.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        reader.upgrade(f"/?token={monitor.token()}")
        writer.hear()
        published = [event(message="m" * 500) for _ in range(300)]
        for _ in range(10):
            assert writer.publish(*published)["type"] == "ack"
        psutil.Process(monitor.pid).send_signal(signal.SIGTERM)
        give_up = time.monotonic() + 5
        while (ready := asked(monitor, "/readyz")).startswith(b"HTTP/1.1 200 "):
            assert time.monotonic() < give_up
        assert ready.startswith(b"HTTP/1.1 503 ")
        assert asked(monitor, "/healthz").startswith(b"HTTP/1.1 200 ")
        refused = writer.publish(event())
        assert (refused["code"], refused["retryable"]) == ("unavailable", True)
        with Raw(monitor.port) as newcomer:
            answer = newcomer.upgrade(f"/?token={monitor.token()}")
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1\r\n" in answer
        assert b'"server_shutdown"' in reader.rest()
        assert writer.end() == (1012, "restarting")
    assert monitor.stop() == 0


def asked(monitor, path):
    """Return the answer to a GET, from an address that has asked nothing else."""
    with Raw(monitor.port, source="127.0.0.2") as raw:
        raw.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return raw.rest()
