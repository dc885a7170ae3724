import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.contract.guard import is_loopback, permit
from monitor.contract.verdicts import NoVerdictError, RefusedError
from securitytests.probe.stream import endpoint_of


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_loopback_exactly_in_its_block(address):
    assert is_loopback(str(address)) == (address.packed[0] == 127)


@given(st.ip_addresses(v=4))
def test_a_mapped_ipv6_address_counts_as_its_ipv4(address):
    assert is_loopback(f"::ffff:{address}") == is_loopback(str(address))


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("::1", True),
        ("::1%lo", True),
        ("128.0.0.1", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("169.254.169.254", False),
    ],
)
def test_only_this_machine_is_loopback(address, expected):
    assert is_loopback(address) is expected


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("ws://127.0.0.1:4001/", "127.0.0.1"),
        ("ws://127.9.9.9/", "127.9.9.9"),
        ("wss://[::1]:4001/", "::1"),
        ("ws://localhost:4001/", "127.0.0.1"),
    ],
)
def test_this_machine_is_permitted_at_the_address_to_connect_to(url, address):
    assert permit(url) == address


@pytest.mark.parametrize(
    "url", ["ws://192.0.2.7/", "ws://[2001:db8::1]/", "ws://[::ffff:192.0.2.7]/", "ws://0.0.0.0/"]
)
def test_another_machine_is_refused_with_the_flag_that_allows_it(url):
    with pytest.raises(RefusedError, match=r"not this machine.*pass --i-am-allowed-to-test "):
        permit(url)


def test_an_allowed_host_is_permitted_and_no_other():
    assert permit("ws://192.0.2.7/", {"192.0.2.7"}) == "192.0.2.7"
    with pytest.raises(RefusedError):
        permit("ws://192.0.2.8/", {"192.0.2.7"})


def test_the_name_of_an_allowed_host_may_be_written_in_any_case(monkeypatch):
    entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 80))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [entry])
    assert permit("ws://Staging.example/", ["STAGING.example"]) == "192.0.2.7"
    assert endpoint_of("ws://Staging.example/", ["STAGING.example"]).allowed


def test_a_host_that_does_not_resolve_gives_no_verdict():
    with pytest.raises(NoVerdictError, match=r"'no-such-host.invalid' does not resolve"):
        permit("ws://no-such-host.invalid/")


def test_a_url_without_a_host_is_not_taken_for_this_machine():
    with pytest.raises(NoVerdictError, match="host '' does not resolve"):
        permit("ws:///path")


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "127.0.0.1..x"])
def test_a_name_that_cannot_be_one_does_not_resolve(host):
    with pytest.raises(NoVerdictError, match="does not resolve"):
        permit(f"ws://{host}:1/")
