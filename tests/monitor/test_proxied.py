"""Behind a proxy, on real sockets: who a client is where `X-Forwarded-For` is believed."""

from contextlib import ExitStack

import pytest

from .peers import Raw

pytestmark = pytest.mark.slow

PROXY = "127.0.0.9"
ELSEWHERE = "127.0.0.8"
PER_ADDRESS = 2


@pytest.fixture
def monitor(tmp_path, start_monitor):
    config = tmp_path / "monitor.toml"
    config.write_text(f'trusted_proxies = ["{PROXY}", "10.0.0.0/8", "fd00::/8"]\n')
    return start_monitor(config=config, connections_per_address=PER_ADDRESS, requests_per_window=6)


class Clients:
    """Holds connections open; each call opens one more and tells its HTTP status."""

    def __init__(self, monitor, held):
        self._port, self._token, self._held = monitor.port, monitor.token(), held

    def __call__(self, *forwarded_for, source=PROXY):
        raw = self._held.enter_context(Raw(self._port, source=source))
        lines = [f"X-Forwarded-For: {value}" for value in forwarded_for]
        head = raw.upgrade(f"/?token={self._token}", *lines)
        return int(head.split(b" ")[1])


@pytest.fixture
def opened(monitor):
    with ExitStack() as held:
        yield Clients(monitor, held)


def test_each_client_behind_the_proxy_has_connections_of_its_own(opened):
    assert [opened("203.0.113.1") for _ in range(3)] == [101, 101, 429]
    assert [opened("203.0.113.2") for _ in range(3)] == [101, 101, 429]
    assert opened("203.0.113.1") == 429


def test_a_header_from_an_untrusted_peer_changes_nothing(opened):
    statuses = [opened(f"203.0.113.{n}", source=ELSEWHERE) for n in range(3)]
    assert statuses == [101, 101, 429]
    assert opened("127.0.0.8") == 429  # the same client, named by the proxy
    assert opened("203.0.113.0") == 101


def test_what_the_client_wrote_left_of_itself_is_not_read(opened):
    statuses = [opened(f"198.51.100.{n}, 203.0.113.1") for n in range(3)]
    assert statuses == [101, 101, 429]
    assert opened("203.0.113.1, 198.51.100.7") == 101


def test_a_chain_of_proxies_leads_to_the_client(opened):
    chains = [
        ("203.0.113.1, 10.1.2.3",),
        ("203.0.113.1", "10.1.2.3, 10.3.2.1"),
        ("203.0.113.1, fd00::1",),
    ]
    assert [opened(*chain) for chain in chains] == [101, 101, 429]
    assert opened("203.0.113.2, 10.1.2.3") == 101


def test_ipv6_counts_by_its_first_64_bits_and_a_mapped_address_as_its_ipv4(opened):
    line = ["2001:db8:1:2::1", "[2001:db8:1:2:ffff::9]:4711", "2001:db8:1:2:1:2:3:4"]
    assert [opened(address) for address in line] == [101, 101, 429]
    assert opened("2001:db8:1:3::1") == 101
    mapped = ["203.0.113.1", "::ffff:203.0.113.1", "::ffff:cb00:7101"]
    assert [opened(address) for address in mapped] == [101, 101, 429]


def test_a_header_that_names_nobody_counts_the_proxy_itself(opened):
    assert [opened(*values) for values in [(), ("unknown",), ("",)]] == [101, 101, 429]
    assert opened("203.0.113.1") == 101


def test_the_request_window_is_the_clients_too(monitor):
    def status(client):
        with Raw(monitor.port, source=PROXY) as raw:
            head = f"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {client}\r\n\r\n"
            raw.send(head.encode())
            return int(raw.rest().split(b" ")[1])

    assert [status("203.0.113.1") for _ in range(7)] == [200] * 6 + [429]
    assert status("203.0.113.2") == 200
