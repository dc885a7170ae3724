"""The gate: slots, requests and refusals by address, also behind trusted proxies."""

from monitor.gate import MAX_EXPLAINED, MAX_REFUSING, Gate
from monitor.settings import Settings


def test_an_ipv6_network_is_one_client_and_a_mapped_address_its_ipv4():
    gate = Gate(Settings(connections_per_address=2))
    assert gate.enter("2001:db8::1").slot
    assert gate.enter("2001:db8::ffff").slot
    assert not gate.enter("2001:db8::2").slot
    assert gate.enter("2001:db8:0:1::2").slot
    assert gate.enter("192.0.2.1").slot
    assert gate.enter("::ffff:192.0.2.1").slot
    assert not gate.enter("192.0.2.1").slot


def test_every_slot_comes_back_and_none_twice():
    gate = Gate(Settings(connections_per_address=3))
    entered = [gate.enter("192.0.2.1") for _ in range(5)]
    assert [e.slot for e in entered] == [True] * 3 + [False] * 2
    for each in entered:
        gate.leave(each, 0.0)
    assert gate.in_use == 0
    assert [gate.enter("192.0.2.1").slot for _ in range(4)] == [True] * 3 + [False]


def test_a_full_server_has_no_slot_for_anyone():
    gate = Gate(Settings(max_connections=2))
    for last in (1, 2):
        assert gate.enter(f"192.0.2.{last}").slot
    assert gate.full
    assert not gate.enter("192.0.2.3").slot


def test_clients_a_proxy_has_not_named_yet_count_for_the_server_alone():
    proxy = "10.0.0.1"
    gate = Gate(
        Settings(connections_per_address=2, max_connections=5, trusted_proxies=("10.0.0.0/8",))
    )
    entered = [gate.enter(proxy) for _ in range(3)]
    for each in entered:
        gate.unname(each)
    assert [each.slot for each in entered] == [True] * 3
    assert gate.in_use == 3
    for each in entered:
        gate.identify(each, proxy, ["203.0.113.1"])
    assert [each.slot for each in entered] == [True, True, False]
    waiting = [gate.enter(proxy) for _ in range(4)]
    for each in waiting:
        gate.unname(each)
    assert [each.slot for each in waiting] == [True, True, True, False]
    assert gate.full
    for each in (*entered, *waiting):
        gate.leave(each, 0.0)
    assert gate.in_use == 0


def test_refused_connections_of_an_address_are_bounded():
    gate = Gate(Settings(connections_per_address=1))
    held = [gate.enter("192.0.2.1") for _ in range(1 + MAX_REFUSING)]
    assert not gate.overcrowded(held[-1])
    one_more = gate.enter("192.0.2.1")
    assert gate.overcrowded(one_more)
    gate.leave(held[-1], 0.0)
    assert not gate.overcrowded(one_more)


def test_only_so_many_connections_are_accepted_to_be_told_why():
    gate = Gate(Settings())
    entered = [gate.enter("192.0.2.1") for _ in range(MAX_EXPLAINED + 1)]
    assert [gate.explain(e) for e in entered] == [True] * MAX_EXPLAINED + [False]
    gate.leave(entered[0], 0.0)
    assert gate.explain(entered[-1])


def test_a_connection_counts_as_one_request_whether_it_asked_or_not():
    gate = Gate(Settings(requests_per_window=2))
    asked, silent = gate.enter("192.0.2.1"), gate.enter("192.0.2.1")
    assert gate.count(asked, 0.0) == 0.0
    assert gate.count(asked, 0.0) == 0.0
    gate.leave(asked, 0.0)
    gate.leave(silent, 0.0)
    assert gate.admit("192.0.2.1", 0.0) == 60.0


def test_a_trusted_proxys_client_is_who_is_counted():
    gate = Gate(Settings(connections_per_address=1, trusted_proxies=("10.0.0.0/8",)))
    assert gate.proxied("10.0.0.1")
    assert not gate.proxied("192.0.2.9")
    first, second, third = (gate.enter("10.0.0.1") for _ in range(3))
    gate.identify(first, "10.0.0.1", ["203.0.113.7"])
    gate.identify(second, "10.0.0.1", ["203.0.113.8"])
    gate.identify(third, "10.0.0.1", ["203.0.113.7, 10.2.2.2"])
    assert (first.slot, second.slot, third.slot) == (True, True, False)


def test_a_forged_header_of_an_untrusted_peer_changes_nothing():
    gate = Gate(Settings(connections_per_address=1, trusted_proxies=("10.0.0.0/8",)))
    entered = gate.enter("192.0.2.9")
    gate.identify(entered, "192.0.2.9", ["203.0.113.7"])
    assert entered.key == "192.0.2.9"


def test_the_eleventh_failure_waits_and_a_success_needs_none():
    gate = Gate(Settings())
    assert [gate.failed("192.0.2.1", float(n)) for n in range(10)] == [0.0] * 10
    assert gate.failed("192.0.2.1", 10.0) == 50.0
    assert gate.failed("192.0.2.2", 10.0) == 0.0
