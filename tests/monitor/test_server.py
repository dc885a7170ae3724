"""The monitor as a process, spoken to over real sockets."""

import http.client
import json
import re
import signal
import socket
import time
from pathlib import Path

import psutil
import pytest
from websockets.exceptions import InvalidStatus

from .kit import event
from .peers import Peer, Raw, masked

pytestmark = pytest.mark.slow

PROTOCOL_PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"


def get(monitor, path, headers=None, method="GET"):
    """Return (status, headers, body) of one HTTP request."""
    connection = http.client.HTTPConnection("127.0.0.1", monitor.port, timeout=10)
    connection.request(method, path, headers=headers or {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def bearer(token):
    return {"additional_headers": {"Authorization": f"Bearer {token}"}}


def test_a_bare_websocket_with_a_token_streams_what_is_published(start_monitor):
    monitor = start_monitor()
    with (
        Peer(f"{monitor.url}?token={monitor.token()}") as reader,
        Peer(monitor.url, **bearer(monitor.token("publish"))) as writer,
    ):
        assert [m["type"] for m in reader.until("subscribed")] == ["auth_ok", "subscribed"]
        assert writer.hear()["type"] == "auth_ok"
        answer = writer.publish(event(progress=1), event(progress=2))
        assert answer == {"type": "ack", "ref": 1, "offsets": [1, 2]}
        heard = [reader.hear(), reader.hear()]
        assert [(m["offset"], m["progress"]) for m in heard] == [(1, 1), (2, 2)]


def test_a_first_message_authenticates_and_a_newcomer_gets_the_state_then_the_fence(start_monitor):
    monitor = start_monitor()
    with Peer(monitor.url, **bearer(monitor.token("publish"))) as writer:
        writer.hear()
        writer.publish(event(progress=30), event(phase="lint", type="phase_start", progress=0))
    with Peer(monitor.url) as reader:
        assert reader.hear() == {"type": "auth_required"}
        reader.say("auth", token=monitor.token())
        heard = reader.until("subscribed")
        assert [m["type"] for m in heard] == [
            "auth_ok",
            "phase_update",
            "phase_update",
            "subscribed",
        ]
        assert all(m["snapshot"] and "offset" not in m for m in heard[1:3])
        assert heard[-1]["offset"] == 2
        assert heard[-1]["count"] == 2


def test_a_subscriber_resumes_where_it_was_without_loss_or_repeat(start_monitor):
    monitor = start_monitor()
    token = monitor.token()
    with Peer(monitor.url, **bearer(monitor.token("publish"))) as writer:
        writer.hear()
        with Peer(f"{monitor.url}?token={token}") as reader:
            fence = reader.until("subscribed")[-1]
            writer.publish(event(progress=1))
            assert reader.hear()["offset"] == 1
        writer.publish(event(progress=2), event(progress=3))
        with Peer(f"{monitor.url}?token={token}&stream=off") as reader:
            reader.hear()
            reader.say("subscribe", since={"epoch": fence["epoch"], "offset": 1}, ref=9)
            fence = reader.hear()
            assert (fence["recovered"], fence["count"], fence["ref"]) == (True, 2, 9)
            assert [reader.hear()["offset"] for _ in range(2)] == [2, 3]
            reader.say("subscribe", since={"epoch": "another", "offset": 1})
            heard = reader.until("subscribed")
            assert heard[-1]["recovered"] is False
            assert [m["type"] for m in heard[:-1]] == ["phase_update"]


def test_a_filter_admits_what_it_names(start_monitor):
    monitor = start_monitor()
    with (
        Peer(f"{monitor.url}?token={monitor.token()}&stream=off") as reader,
        Peer(monitor.url, **bearer(monitor.token("publish"))) as writer,
    ):
        reader.hear()
        writer.hear()
        reader.say("subscribe", phases=["lint"])
        assert reader.hear()["type"] == "subscribed"
        writer.publish(event(phase="write"), event(phase="lint"), event(phase="write"))
        assert reader.hear()["offset"] == 2
        reader.say("unsubscribe")
        assert reader.hear()["type"] == "unsubscribed"
        writer.publish(event(phase="lint"))
        reader.say("ping")
        assert reader.hear()["type"] == "pong"


def test_a_retry_is_stored_once_even_across_a_crash(start_monitor):
    monitor = start_monitor()
    token = monitor.token("publish")
    first = [event(id="a"), event(id="b")]
    with Peer(monitor.url, **bearer(token)) as writer:
        writer.hear()
        assert writer.publish(*first)["offsets"] == [1, 2]
    monitor.kill()
    monitor.start()
    with Peer(monitor.url, **bearer(token)) as writer:
        writer.hear()
        assert writer.publish(*first, event(id="c"), event(id="c"))["offsets"] == [1, 2, 3, 3]


def test_phase_states_and_epoch_survive_a_crash(start_monitor):
    monitor = start_monitor()
    with Peer(monitor.url, **bearer(monitor.token("publish"))) as writer:
        writer.hear()
        failed = {"type": "phase_failed", "error": "broken input"}
        writer.publish(event(progress=70))
        unsaid = {k: v for k, v in event().items() if k != "progress"}
        writer.publish({**unsaid, **failed})
    before = start_and_read(monitor)
    monitor.kill()
    monitor.start()
    assert start_and_read(monitor) == before
    assert (before[0]["status"], before[0]["progress"]) == ("failed", 70)


def start_and_read(monitor):
    with Peer(f"{monitor.url}?token={monitor.token()}") as reader:
        return reader.until("subscribed")[1:]


def test_the_hundred_and_first_request_of_an_address_is_refused_before_the_handshake(start_monitor):
    monitor = start_monitor()
    token = monitor.token()
    for _ in range(50):
        assert get(monitor, "/nothing")[0] == 404
    with Peer(f"{monitor.url}?token={token}") as reader:
        reader.until("subscribed")
        for _ in range(49):
            reader.say("ping")
            assert reader.hear()["type"] == "pong"
        reader.say("ping")
        refusal = reader.hear()
        assert refusal["code"] == "rate_limited"
    status, headers, _ = get(monitor, "/nothing")
    assert status == 429
    assert 0 < int(headers["Retry-After"]) <= 60
    with pytest.raises(InvalidStatus, match="429"):
        Peer(f"{monitor.url}?token={token}")
    assert get(monitor, "/healthz")[0] == 200
    with Peer(f"{monitor.url}?token={token}", source="127.0.0.2") as other:
        assert other.hear()["type"] == "auth_ok"


def test_the_eleventh_connection_of_an_address_is_refused_and_a_slot_comes_back(start_monitor):
    monitor = start_monitor()
    token = monitor.token()
    half_open = [Raw(monitor.port) for _ in range(5)]
    peers = [Peer(f"{monitor.url}?token={token}") for _ in range(5)]
    with pytest.raises(InvalidStatus, match="429"):
        Peer(f"{monitor.url}?token={token}")
    for raw in half_open:
        raw.sock.close()
    peers += [Peer(f"{monitor.url}?token={token}") for _ in range(5)]
    for peer in peers:
        peer.close()


def test_a_failed_authentication_is_401_whatever_was_wrong_and_429_after_ten(start_monitor):
    monitor = start_monitor(requests_per_window=1000)
    token = monitor.token()
    wrong = ["?token=no", "?token=", f"?token={token[:-2]}", f"?token={token}&token={token}"]
    answers = set()
    for query in wrong:
        with Raw(monitor.port) as raw:
            answers.add(raw.upgrade(f"/{query}") + raw.rest())
    with Raw(monitor.port) as raw:
        answers.add(raw.upgrade("/", "Authorization: Basic YTpi") + raw.rest())
    with Raw(monitor.port) as raw:
        answers.add(raw.upgrade(f"/?token={token}", f"Authorization: Bearer {token}") + raw.rest())
    assert len(answers) == 1
    assert answers.pop().startswith(b"HTTP/1.1 401 ")
    for _ in range(4):
        with Raw(monitor.port) as raw:
            assert raw.upgrade("/?token=no").startswith(b"HTTP/1.1 401 ")
    with Raw(monitor.port) as raw:
        assert raw.upgrade("/?token=no").startswith(b"HTTP/1.1 429 ")


def test_a_browser_with_a_bad_token_learns_why_at_most_twice_at_a_time(start_monitor):
    monitor = start_monitor()
    origin = f"http://localhost:{monitor.port}"
    url = f"{monitor.url}?token=no"
    held = [Raw(monitor.port) for _ in range(2)]
    for raw in held:
        head = raw.upgrade("/?token=no", f"Origin: {origin}", f"Host: localhost:{monitor.port}")
        assert head.startswith(b"HTTP/1.1 400 ")  # two Host headers: not a browser
    for _ in range(3):
        with Peer(url, origin=origin) as peer:
            assert peer.hear()["code"] == "unauthorized"
            assert peer.end()[0] == 4401
    for raw in held:
        raw.sock.close()


def test_a_ping_flood_by_a_peer_that_does_not_read_is_not_buffered(start_monitor):
    monitor = start_monitor(ping_interval_s=600, control_frames_per_window=10**9)
    process = psutil.Process(monitor.pid)
    with Raw(monitor.port) as raw:
        raw.upgrade(f"/?token={monitor.token()}")
        before = process.memory_info().rss
        raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.sock.settimeout(0.5)
        sent = send_until_refused(raw.sock, masked(9, b"x" * 125) * 500, 200 * 2**20)
        grown = process.memory_info().rss - before
    assert sent < 50 * 2**20
    assert grown < 8 * 2**20


def send_until_refused(sock, data, most):
    """Send until the socket takes no more for half a second; return the bytes taken."""
    sent = 0
    while sent < most:
        try:
            sent += sock.send(data)
        except TimeoutError:
            break
    return sent


def test_a_stalled_reader_is_left_behind_then_told_and_level_again(start_monitor):
    monitor = start_monitor()
    publisher = Peer(monitor.url, **bearer(monitor.token("publish")))
    with publisher as writer, Raw(monitor.port) as slow:
        writer.hear()
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.upgrade(f"/?token={monitor.token()}")
        events = [event(progress=n % 100, message="m" * 200) for n in range(500)]
        for _ in range(20):
            assert writer.publish(*events)["type"] == "ack"
        writer.publish(event(type="phase_complete", progress=100))
        received = b""
        while b'"offset":10001}' not in received:
            received += slow.sock.recv(65_536)
    gaps = [json.loads(g) for g in re.findall(rb'\{"type":"gap"[^}]*\}', received)]
    offsets = [int(o) for o in re.findall(rb'"offset":(\d+)\}', received)]
    assert gaps
    assert all(gap["reason"] == "thinned" for gap in gaps)
    assert offsets == sorted(set(offsets))
    assert len(offsets) + sum(gap["omitted"] for gap in gaps) == 10_001


def test_a_reader_that_fell_off_the_log_is_told_and_gets_the_state(start_monitor):
    monitor = start_monitor(log_bytes=2**20)
    with (
        Peer(monitor.url, **bearer(monitor.token("publish"))) as writer,
        Raw(monitor.port) as slow,
    ):
        writer.hear()
        slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.upgrade(f"/?token={monitor.token()}")
        events = [event(type="file_trashed", path="x" * 500) for _ in range(500)]
        trashed = [{k: v for k, v in e.items() if k != "progress"} for e in events]
        for _ in range(20):
            assert writer.publish(*trashed[:300])["type"] == "ack"
        received = b""
        while b'"reason":"expired"' not in received or b'"subscribed"' not in received[-400:]:
            received += slow.sock.recv(65_536)
    gap = json.loads(re.search(rb'\{"type":"gap"[^}]*"expired"\}', received)[0])
    seen = [int(o) for o in re.findall(rb'"offset":(\d+)\}', received)]
    assert gap["from"] == seen[-1] + 1
    assert gap["to"] - gap["from"] + 1 == gap["omitted"]
    shown = re.search(r'^\{"type":"gap".*$', PROTOCOL_PAGE.read_text(), re.MULTILINE)
    assert list(gap) == list(json.loads(shown[0]))


def test_deadlines_close_with_4408_and_slots_come_back(start_monitor):
    monitor = start_monitor(handshake_timeout_s=2, authentication_timeout_s=2, idle_timeout_s=3)
    token = monitor.token()
    with Raw(monitor.port) as stalled:
        stalled.send(b"GET / HTTP/1.1\r\n")
        assert stalled.rest() == b""
    with Peer(monitor.url) as unknown:
        assert unknown.end() == (4408, "authentication deadline")
    with Peer(f"{monitor.url}?token={token}") as idle:
        assert idle.end() == (4408, "idle timeout")
    peers = [Peer(f"{monitor.url}?token={token}") for _ in range(10)]
    for peer in peers:
        peer.close()


def test_a_peer_that_answers_neither_ping_nor_close_is_dropped(start_monitor):
    monitor = start_monitor(ping_interval_s=0.3, ping_timeout_s=0.3, close_timeout_s=0.3)
    with Raw(monitor.port) as raw:
        raw.upgrade(f"/?token={monitor.token()}")
        rest = raw.rest()  # without ever answering
    assert b"\x89\x00" in rest
    assert (4408).to_bytes(2, "big") in rest


def test_a_revoked_token_and_a_disabled_subject_lose_their_silent_connections(start_monitor):
    monitor = start_monitor()
    token, other = monitor.token(subject="one"), monitor.token(subject="two")
    with Peer(f"{monitor.url}?token={token}") as one, Peer(f"{monitor.url}?token={other}") as two:
        one.until("subscribed")
        two.until("subscribed")
        monitor.command("token", "revoke", token)
        assert one.end()[0] == 4401
        monitor.command("token", "disable", "two")
        assert two.end()[0] == 4401
    for refused in (token, other):
        with pytest.raises(InvalidStatus, match="401"):
            Peer(f"{monitor.url}?token={refused}")
    monitor.stop()
    monitor.start()
    with pytest.raises(InvalidStatus, match="401"):
        Peer(f"{monitor.url}?token={token}")


@pytest.mark.parametrize("way", ["query", "message", "renewal"])
def test_expiry_closes_a_silent_subscriber_however_it_authenticated(start_monitor, way):
    monitor = start_monitor()
    short = monitor.token(ttl_s=2)
    query = {"query": f"?token={short}", "renewal": f"?token={monitor.token()}"}.get(way, "")
    with Peer(monitor.url + query) as reader:
        if way != "query":
            reader.hear()
            reader.say("auth", token=short, ref="a")
        welcome = reader.until("auth_ok")[-1]
        if way == "renewal" and "ref" not in welcome:
            welcome = reader.until("auth_ok")[-1]
        assert reader.end() == (4401, "token expired")
        # Not before; how soon after is what the gate judges. It comes within a second unless the
        # machine is busy.
        assert -0.05 <= time.time() - welcome["expires_at"] < 15


def test_metrics_and_state_need_the_admin_scope(start_monitor):
    monitor = start_monitor()
    admin = {"Authorization": f"Bearer {monitor.token('admin')}"}
    reader = {"Authorization": f"Bearer {monitor.token()}"}
    with Peer(monitor.url, **bearer(monitor.token("publish"))) as writer:
        writer.hear()
        writer.publish(event(message="write to someone@example.org"))
    for path in ("/metrics", "/state"):
        assert get(monitor, path)[0] == 401
        assert get(monitor, path, reader)[0] == 403
        assert get(monitor, path, admin)[0] == 200
    metrics = get(monitor, "/metrics", admin)[2].decode()
    assert "wsproof_events_total 1.0" in metrics
    assert "wsproof_redactions_total 1.0" in metrics
    assert 'wsproof_refusals_total{reason="authentication"} 2.0' in metrics
    state = json.loads(get(monitor, "/state", admin)[2])
    assert state["offset"] == 1
    assert state["phases"][0]["message"] == "write to [redacted:email]"


def test_a_token_in_the_url_reaches_no_log(start_monitor):
    monitor = start_monitor(log_level="debug")
    token = monitor.token()
    with Peer(f"{monitor.url}?token={token}") as reader:
        reader.until("subscribed")
    with pytest.raises(InvalidStatus):
        Peer(f"{monitor.url}?token={token}x")
    with Raw(monitor.port) as raw:
        raw.send(f"GET /?token={token} HTTP/9\r\n\r\n".encode())
        raw.rest()
    assert token[:40] not in monitor.log


def test_sigterm_tells_every_client_and_loses_nothing_acknowledged(start_monitor):
    monitor = start_monitor()
    with (
        Peer(f"{monitor.url}?token={monitor.token()}") as reader,
        Peer(monitor.url, **bearer(monitor.token("publish"))) as writer,
    ):
        reader.until("subscribed")
        writer.hear()
        writer.publish(*[event(progress=n) for n in range(100)])
        psutil.Process(monitor.pid).send_signal(signal.SIGTERM)
        heard = reader.until("server_shutdown")
        assert [m["offset"] for m in heard[:-1]] == list(range(1, 101))
        assert 0 < heard[-1]["retry_after"] <= 2
        assert reader.end() == (1012, "restarting")
        assert writer.end() == (1012, "restarting")
    assert monitor.stop() == 0
    monitor.start()
    with Peer(f"{monitor.url}?token={monitor.token()}") as reader:
        assert reader.until("subscribed")[-1]["offset"] == 100
