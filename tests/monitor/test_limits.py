import ipaddress
import math
from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.limits import (
    ClientRequestWindow,
    ConnectionSlots,
    FailureThrottle,
    PublishQuota,
    RequestWindow,
    client_key,
    forwarded_client,
)

PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("2001:db8:ffff::/48")]


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("::FFFF:7f00:1", "127.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_a_client_is_its_ipv4_address_or_its_ipv6_prefix(address: str, key: str) -> None:
    assert client_key(address) == key


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_the_same_client_as_its_ipv4(address: ipaddress.IPv4Address) -> None:
    assert client_key(f"::ffff:{address}") == client_key(str(address)) == str(address)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_a_whole_64_is_one_client(low: int, other: int) -> None:
    prefix = 0x20010DB800010002 << 64
    ends = [str(ipaddress.IPv6Address(prefix | end)) for end in (low, other)]
    assert client_key(ends[0]) == client_key(ends[1])


@pytest.mark.parametrize("address", ["", "localhost", "1.2.3", "1.2.3.4:80", "01.2.3.4"])
def test_what_is_no_address_is_no_client(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        client_key(address)


@pytest.mark.parametrize(
    ("peer", "values", "client"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # not a proxy of ours: not believed
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["127.0.0.1, 198.51.100.1"], "198.51.100.1"),  # the left is the client's word
        ("10.0.0.1", ["127.0.0.1", "198.51.100.1 , 10.2.3.4"], "198.51.100.1"),
        ("10.0.0.1", ["10.9.9.9, 10.2.3.4"], "10.9.9.9"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("2001:db8:ffff::1", ["2001:db8:1::5"], "2001:db8:1::5"),
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, "], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense, 10.0.0.2"], "10.0.0.1"),
        ("10.0.0.1", ["nonsense, 198.51.100.1"], "198.51.100.1"),
    ],
)
def test_the_forwarded_client_is_the_rightmost_hop_no_proxy_of_ours(
    peer: str, values: Sequence[str], client: str
) -> None:
    assert forwarded_client(peer, values, PROXIES) == client


@given(st.ip_addresses(), st.lists(st.text(max_size=40), max_size=4))
def test_whatever_is_forwarded_the_answer_is_an_address(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, values: list[str]
) -> None:
    for trusted in ([], PROXIES, [ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]):
        assert client_key(forwarded_client(str(address), values, trusted))


# The request window, against the plainest model: every admitted time ever.


class NaiveWindow:
    def __init__(self, limit: int, window_s: float) -> None:
        self.limit, self.window_s = limit, window_s
        self.admitted: dict[str, list[float]] = {}

    def admits(self, key: str, now: float) -> bool:
        times = self.admitted.setdefault(key, [])
        if sum(time + self.window_s > now for time in times) >= self.limit:
            return False
        times.append(now)
        return True


def times_of(steps: Sequence[float], start: float) -> list[float]:
    times = [start]
    for step in steps:
        times.append(times[-1] + step)
    return times[1:]


# Steps that meet a window's edge exactly, miss it by one unit in the last place, or are any.
EXACT = st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0])
STEPS = st.lists(
    EXACT | st.sampled_from([1.0 - 2**-50, 2**-40, 0.1]) | st.floats(0, 2), max_size=60
)
STARTS = st.sampled_from([0.0, 1024.0]) | st.floats(0, 1e6)


@given(
    st.integers(1, 4),
    STARTS,
    st.lists(st.tuples(EXACT | st.floats(0, 2), st.sampled_from(["a", "b", "sweep"])), max_size=60),
)
@example(1, 0.0, [(0.0, "a"), (0.0, "sweep"), (0.5, "b"), (0.0, "sweep"), (0.25, "a")])
def test_the_window_admits_exactly_what_the_model_does(
    limit: int, start: float, steps: list[tuple[float, str]]
) -> None:
    window, model = RequestWindow(limit, 1.0), NaiveWindow(limit, 1.0)
    now = start
    for step, key in steps:
        now += step
        if key == "sweep":
            window.sweep(now, 1)
            continue
        expected_wait = window.wait(key, now)
        wait = window.hit(key, now)
        assert wait == expected_wait
        assert (wait == 0.0) == model.admits(key, now)


@given(st.integers(1, 5), STEPS, STARTS)
def test_no_half_open_window_ever_holds_more_than_the_limit(
    limit: int, steps: list[float], start: float
) -> None:
    window = RequestWindow(limit, 1.0)
    admitted = [now for now in times_of(steps, start) if window.hit("a", now) == 0.0]
    for begin in admitted:
        assert sum(begin <= time < begin + 1.0 for time in admitted) <= limit


@given(st.integers(1, 4), STEPS, st.floats(0, 1e9), st.floats(0.001, 1e4))
def test_the_wait_it_answers_is_true(
    limit: int, steps: list[float], start: float, window_s: float
) -> None:
    window = RequestWindow(limit, window_s)
    for now in times_of([step * window_s for step in steps], start):
        wait = window.hit("a", now)
        if wait:
            assert window.wait("a", now + wait) == 0.0
            halfway = now + wait / 2
            assert window.wait("a", halfway) > 0.0 or halfway == now + wait


def test_the_hundredth_is_served_and_the_next_is_told_when() -> None:
    window = RequestWindow(100, 60.0)
    assert all(window.hit("a", 1000.0 + number / 10) == 0.0 for number in range(100))
    assert window.hit("a", 1010.0) == 50.0
    assert window.hit("a", 1059.99) == pytest.approx(0.01)
    assert window.hit("a", 1060.0) == 0.0
    assert window.hit("a", 1060.0) == pytest.approx(0.1)
    assert window.hit("b", 1060.0) == 0.0


def test_what_was_refused_is_not_held_against_the_client() -> None:
    window = RequestWindow(1, 60.0)
    window.hit("a", 0.0)
    for second in range(1, 60):
        assert window.hit("a", float(second)) == 60.0 - second
    assert window.hit("a", 60.0) == 0.0


def test_idle_keys_are_forgotten_a_few_at_a_time() -> None:
    window = RequestWindow(2, 1.0)
    for number in range(100):
        window.hit(str(number), 0.0)
    dropped = [window.sweep(1.0 + step, 16) for step in range(12)]
    assert max(dropped) == 16
    assert sum(dropped) == 100
    assert len(window) == 0


def test_with_every_place_taken_a_new_key_waits_and_the_others_keep_their_count() -> None:
    window = RequestWindow(1, 10.0, max_keys=3)
    for number, key in enumerate("abc"):
        assert window.hit(key, float(number)) == 0.0
    assert window.hit("d", 3.0) > 0
    assert len(window) == 3
    assert all(window.hit(key, 9.0) > 0 for key in "abc")


@given(STEPS, st.data())
def test_a_full_table_admits_nobody_beyond_the_promise_and_stays_bounded(
    steps: list[float], data: st.DataObject
) -> None:
    window, model = RequestWindow(2, 1.0, max_keys=3), NaiveWindow(2, 1.0)
    for now in times_of(steps, 5.0):
        key = data.draw(st.sampled_from("abcdef"))
        if window.hit(key, now) == 0.0:
            assert model.admits(key, now)
        assert len(window) <= 3


def test_a_full_table_has_room_again_once_its_keys_were_idle() -> None:
    window = RequestWindow(1, 10.0, max_keys=3)
    for key in "abc":
        window.hit(key, 0.0)
    now = 0.0
    for _ in range(3):
        wait = window.hit("d", now)
        if not wait:
            break
        now += wait
    assert window.hit("d", now) > 0.0  # admitted in the loop: its one hit is used
    assert now <= 20.0


@pytest.mark.parametrize(
    ("limit", "window_s", "max_keys"), [(0, 1.0, 1), (1, 0.0, 1), (1, math.inf, 1), (1, 1.0, 0)]
)
def test_a_window_without_meaning_is_refused(limit: int, window_s: float, max_keys: int) -> None:
    with pytest.raises(ValueError, match="RequestWindow"):
        RequestWindow(limit, window_s, max_keys=max_keys)


def test_newcomers_of_other_networks_are_served_when_every_place_is_taken() -> None:
    window = ClientRequestWindow(2, 10.0, max_keys=100)
    crowd = [client_key(f"2001:db8:0:{number:x}::1") for number in range(5_000)]
    admitted = [window.hit(key, number * 1e-4) for number, key in enumerate(crowd)].count(0.0)
    assert admitted == 102  # their network shares one window once the places are taken
    assert window.hit("192.0.2.7", 1.0) == 0.0
    assert window.hit("192.0.2.8", 1.0) == 0.0
    assert window.hit("192.0.2.9", 1.0) == pytest.approx(10.0)
    assert window.wait("192.0.2.9", 1.0) == pytest.approx(10.0)
    assert window.hit("198.51.100.1", 1.0) == 0.0
    assert window.hit(crowd[0], 1.0) == 0.0
    assert window.hit(crowd[0], 1.0) > 0.0


@given(hits=st.lists(st.tuples(st.integers(0, 9), st.floats(0, 0.7)), max_size=200))
def test_who_shares_a_window_for_a_while_never_has_more_than_the_limit(
    hits: list[tuple[int, float]],
) -> None:
    window, now = ClientRequestWindow(2, 1.0, max_keys=3), 0.0
    admitted: dict[str, list[float]] = {}
    for number, pause in hits:
        now += pause
        key = f"192.{number % 2}.2.{number}"
        recent = [time for time in admitted.get(key, []) if time + 1.0 > now]
        if window.hit(key, now) == 0.0:
            assert len(recent) < 2
            admitted[key] = [*recent, now]


def test_ten_failures_a_minute_close_the_door_and_time_opens_it() -> None:
    throttle = FailureThrottle()
    for second in range(10):
        assert throttle.wait("a", float(second)) == 0.0
        throttle.failed("a", float(second))
    assert throttle.wait("a", 10.0) == 50.0
    assert throttle.wait("b", 10.0) == 0.0
    throttle.failed("a", 59.0)
    assert throttle.wait("a", 60.0) == 0.0


# Connection slots


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc")), max_size=80))
def test_slots_never_exceed_either_bound_and_all_come_back(
    steps: list[tuple[bool, str]],
) -> None:
    slots = ConnectionSlots(per_key=2, total=4)
    held: list[str] = []
    for take, key in steps:
        if take:
            room = held.count(key) < 2 and len(held) < 4
            assert slots.full == (len(held) == 4)
            assert slots.acquire(key) is room
            if room:
                held.append(key)
        elif key in held:
            slots.release(key)
            held.remove(key)
        else:
            with pytest.raises(RuntimeError, match="none is held"):
                slots.release(key)
        assert slots.in_use == len(held)
    for key in held:
        slots.release(key)
    assert slots.in_use == 0


# The publishing quota


@given(
    st.integers(1, 50),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 120)), max_size=60),
)
def test_no_stretch_of_time_holds_more_than_rate_and_burst(
    rate: int, burst_s: float, batches: list[tuple[float, int]]
) -> None:
    quota = PublishQuota(rate, burst_s)
    now, admitted = 100.0, []
    for step, count in batches:
        now += step
        wait = quota.take("a", count, now)
        assert (wait == math.inf) == (count > quota.burst)
        if wait == 0.0:
            admitted.append((now, count))
    for first, (begin, _) in enumerate(admitted):
        total = 0
        for end, count in admitted[first:]:
            total += count
            assert total <= rate * (end - begin + burst_s) * (1 + 1e-6) + 1e-6


@given(st.integers(1, 20_000), st.lists(st.integers(1, 50), max_size=50), st.floats(0, 1e6))
def test_the_wait_for_a_batch_is_true_and_a_refusal_takes_nothing(
    rate: int, counts: list[int], now: float
) -> None:
    quota = PublishQuota(rate)
    for count in counts:
        wait = quota.take("a", count, now)
        if 0 < wait < math.inf:
            assert quota.take("a", count, now) == wait
            now += wait
            assert quota.take("a", count, now) == 0.0


def test_the_quota_is_each_subject_s_own_and_a_whole_burst_fits() -> None:
    quota = PublishQuota(10_000)
    assert quota.burst == 10_000
    assert quota.take("a", 10_000, 5.0) == 0.0
    assert quota.take("a", 1, 5.0) == pytest.approx(1e-4)
    assert quota.take("b", 10_000, 5.0) == 0.0
    assert quota.take("a", 10_001, 500.0) == math.inf


def test_a_sweep_forgets_subjects_that_are_as_good_as_new() -> None:
    quota = PublishQuota(10)
    quota.take("a", 10, 0.0)
    quota.take("b", 1, 0.0)
    quota.sweep(0.5)
    assert len(quota) == 1
    assert quota.take("a", 10, 0.5) == pytest.approx(0.5)


@pytest.mark.parametrize("make", [lambda: PublishQuota(0), lambda: PublishQuota(1, 0.0)])
def test_a_quota_without_meaning_is_refused(make: Callable[[], PublishQuota]) -> None:
    with pytest.raises(ValueError, match="PublishQuota"):
        make()
