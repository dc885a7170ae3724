import ipaddress
from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.addresses import Allotment, allot, clients_per_address
from monitor.contract.target import Authentication, Promises, Publish, Subscribe, Target
from monitor.contract.verdicts import UsageError

TARGET = Target(
    name="t",
    url="ws://127.0.0.1:1/",
    publish=Publish(message="{event}"),
    promises=Promises(requests_per_window=100, window_s=60, connections_per_address=10),
)


@given(st.integers(1, 400), st.integers(1, 6), st.integers(0, 1 << 16), st.integers(1, 20))
def test_no_limit_is_reached_and_no_address_used_twice(
    clients: int, repeats: int, start: int, connections: int
) -> None:
    promises = Promises(requests_per_window=12, connections_per_address=connections)
    target = msgspec.structs.replace(TARGET, promises=promises)
    used: set[str] = set()
    for allotment in allot(target, "127.0.0.1", clients, repeats, start):
        addresses = Counter(allotment.client(number) for number in range(clients))
        assert max(addresses.values()) <= min(connections, 12)
        everyone = {*addresses, allotment.publisher}
        assert len(everyone) == len(addresses) + 1 == allotment.count(clients)
        assert not used & everyone
        assert all(ipaddress.IPv4Address(one).is_loopback for one in everyone if one)
        used |= {one for one in everyone if one}


def test_messages_sent_after_the_handshake_count_as_requests() -> None:
    promises = Promises(requests_per_window=9)
    chatty = msgspec.structs.replace(
        TARGET,
        promises=promises,
        authentication=Authentication(methods=("message",), message="{token}"),
        subscribe=Subscribe(message="subscribe"),
    )
    assert clients_per_address(chatty) == 3


def test_without_promises_one_address_serves_all() -> None:
    free = msgspec.structs.replace(TARGET, promises=Promises())
    allotment = allot(free, "127.0.0.1", 500, 1, 0)[0]
    assert {allotment.client(number) for number in range(500)} == {allotment.client(0)}


def test_a_target_elsewhere_is_reached_from_the_one_address_there_is() -> None:
    allotment = allot(TARGET, "192.0.2.1", 10, 2, 0)[0]
    assert (allotment.publisher, allotment.client(3)) == (None, None)


def test_too_few_addresses_are_refused_with_the_number_needed() -> None:
    with pytest.raises(UsageError, match=r"50 clients need 6 source addresses.*--clients 10"):
        allot(TARGET, "192.0.2.1", 50, 1, 0)


def test_workers_with_disjoint_clients_share_no_address_when_ranges_are_whole_shares() -> None:
    allotment = Allotment(int(ipaddress.IPv4Address("127.16.0.0")), 10)
    first = {allotment.client(number) for number in range(20)}
    second = {allotment.client(number) for number in range(20, 40)}
    assert not first & second
