"""TLS on real sockets, with a certificate made for the occasion."""

import json
import socket
import ssl
import time
import urllib.error
import urllib.request
import warnings

import psutil
import pytest
from websockets.exceptions import InvalidMessage, InvalidStatus

from tests.certificates import self_made
from tests.running import RunningMonitor

from .kit import event
from .peers import Peer, Raw, masked

pytestmark = pytest.mark.slow

HANDSHAKE_TIMEOUT_S = 5.0


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the paths of a certificate for this machine, and of its key."""
    return self_made(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module", params=["uvloop", "asyncio"])
def secure(request, tmp_path_factory, certificate):
    """A monitor that serves TLS."""
    flags = {
        "event_loop": request.param,
        "tls_certificate": certificate[0],
        "tls_key": certificate[1],
        "connections_per_address": 3,
        "handshake_timeout_s": HANDSHAKE_TIMEOUT_S,
        "requests_per_window": 1_000,
        "close_timeout_s": 1,
    }
    with RunningMonitor(tmp_path_factory.mktemp("secure"), **flags) as monitor:
        yield monitor


@pytest.fixture
def trust(certificate):
    return ssl.create_default_context(cafile=certificate[0])


def test_events_stream_over_a_verified_connection(secure, trust):
    assert secure.url.startswith("wss://localhost:")
    writing = {"additional_headers": {"Authorization": f"Bearer {secure.token('publish')}"}}
    with (
        Peer(f"{secure.url}?token={secure.token()}", ssl=trust) as reader,
        Peer(secure.url, ssl=trust, **writing) as writer,
    ):
        reader.until("subscribed")
        writer.hear()
        events = [event(message=f"{number}" * 200) for number in range(200)]
        offsets = writer.publish(*events)["offsets"]
        assert [reader.hear()["offset"] for _ in offsets] == offsets


def test_a_refusal_arrives_whole_with_its_close_code(secure, trust):
    with Peer(secure.url, ssl=trust) as peer:
        peer.hear()
        peer.say("auth", token="wrong")
        assert peer.hear()["code"] == "unauthorized"
        assert peer.end()[0] == 4401


def test_pages_and_errors_are_served_over_https(secure, trust):
    with urllib.request.urlopen(f"{secure.http}/", context=trust) as answer:  # noqa: S310
        assert b"<html" in answer.read().lower()
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(f"{secure.http}/nowhere", context=trust)  # noqa: S310
    with missing.value as answer:
        assert (answer.code, json.load(answer)["status"]) == (404, 404)


@pytest.mark.parametrize(("scheme", "status"), [("https", 101), ("http", 403)])
def test_the_own_page_is_the_one_served_over_tls(secure, trust, scheme, status):
    plain = Raw(secure.port)
    plain.sock = trust.wrap_socket(plain.sock, server_hostname="localhost")
    with plain as raw:
        origin = f"{scheme}://localhost:{secure.port}"
        head = raw.upgrade(
            f"/?token={secure.token()}", f"Origin: {origin}", host=f"localhost:{secure.port}"
        )
    assert head.startswith(b"HTTP/1.1 %d " % status)


def test_nothing_follows_the_handshake_unasked(secure, trust):
    """A session ticket would meet the first words of a client that reads in another thread."""
    plain = Raw(secure.port)
    plain.sock = trust.wrap_socket(plain.sock, server_hostname="localhost")
    with plain as raw:
        assert raw.sock.version() == "TLSv1.3"
        assert b" 101 " in raw.upgrade(f"/?token={secure.token()}")
        assert not raw.sock.session.has_ticket


def test_an_untrusted_certificate_is_not_accepted_by_a_client_that_verifies(secure):
    with pytest.raises(ssl.SSLCertVerificationError):
        Peer(secure.url, ssl=ssl.create_default_context())


def test_tls_before_1_2_is_refused(secure, trust):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it is outdated: that is the point
        trust.minimum_version = trust.maximum_version = ssl.TLSVersion.TLSv1_1
    trust.set_ciphers("ALL:@SECLEVEL=0")
    with (
        socket.create_connection(("127.0.0.1", secure.port)) as sock,
        pytest.raises((ssl.SSLError, ConnectionResetError)),
    ):
        trust.wrap_socket(sock, server_hostname="localhost")


def test_cleartext_and_silence_get_nothing_and_leave_nothing_behind(secure, trust):
    """More of both than an address has connections; the deadline is the handshake's."""
    for _ in range(5):
        with Raw(secure.port) as raw:
            raw.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"HTTP/" not in ended(raw)
    silent = [Raw(secure.port) for _ in range(5)]
    begun = time.monotonic()
    for raw in silent:
        assert ended(raw) == b""
        raw.sock.close()
    assert time.monotonic() - begun < HANDSHAKE_TIMEOUT_S + 5
    with Peer(f"{secure.url}?token={secure.token()}", ssl=trust) as reader:
        assert reader.hear()["type"] == "auth_ok"
    assert "Traceback" not in secure.log


def test_a_handshake_that_is_not_finished_takes_a_slot_until_its_deadline(secure, trust):
    process = psutil.Process(secure.pid)
    idle = process.num_fds()
    held = [Raw(secure.port, source="127.0.0.3") for _ in range(60)]
    token = secure.token()
    with Raw(secure.port, source="127.0.0.4") as other:  # accepted after those before it
        other.sock = trust.wrap_socket(other.sock, server_hostname="localhost")
        assert b" 101 " in other.upgrade(f"/?token={token}")
        assert process.num_fds() - idle <= 3 + 11 + 1
    with pytest.raises((InvalidStatus, OSError, EOFError, InvalidMessage)):
        Peer(f"{secure.url}?token={token}", ssl=trust, source="127.0.0.3")
    for raw in held:
        assert ended(raw) == b""
        raw.sock.close()
    with Peer(f"{secure.url}?token={token}", ssl=trust, source="127.0.0.3") as reader:
        assert reader.hear()["type"] == "auth_ok"


def ended(raw):
    """Return what came until the server let go, orderly or not."""
    try:
        return raw.rest()
    except ConnectionResetError:
        return b""


def test_who_sends_on_after_the_close_hears_why_all_the_same(secure, trust):
    raw = Raw(secure.port)
    raw.sock = trust.wrap_socket(raw.sock, server_hostname="localhost")
    with raw:
        raw.upgrade(f"/?token={secure.token('publish')}")
        raw.send(masked(2, b"binary") + masked(1, b"x" * 8_000) * 20)
        assert b"text messages are spoken here" in raw.rest()
