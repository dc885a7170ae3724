"""Limits: who a client is, how many requests it has, how many connections, how many events.

No I/O and no clock of its own: every `now` is a monotonic time in seconds that never decreases
from call to call. Each limit is exact as promised in its docstring, and each table is bounded.
"""

import ipaddress
import math
from array import array
from bisect import bisect_right
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_key(address: str) -> str:
    """Return whom an address counts as: an IPv4 address itself, an IPv6 address its /64.

    An IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2) counts as its IPv4 address; a scope id
    is left out. A host chooses the last 64 bits of its IPv6 address itself (RFC 4291 section
    2.5.1), so counting single IPv6 addresses would limit nobody.

    Raises:
        ValueError: not an IP address.
    """
    parsed = _parse(address)
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    prefix = int(parsed) >> 64 << 64
    return f"{ipaddress.IPv6Address(prefix)}/64"


def forwarded_client(peer: str, forwarded_for: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the address a request came from, believing X-Forwarded-For only from proxies.

    `peer` is the connected address, `forwarded_for` the values of the header lines in order.
    From a trusted peer, hops are read from the right, as each proxy appends whom it heard from;
    the first one outside the trusted networks is the client, and what stands left of it, being
    the client's own word, is not read. If every hop is trusted the leftmost is the client. A hop
    that is no address makes the whole header worthless: the peer itself is returned.
    """
    client = _parse(peer)
    if not _within(client, trusted):
        return peer
    hops = ",".join(forwarded_for).split(",") if forwarded_for else []
    for hop in reversed(hops):
        try:
            client = _parse(_without_port(hop.strip(" \t")))
        except ValueError:
            return peer
        if not _within(client, trusted):
            break
    return str(client)


class ControlFrames:
    """What one connection may send of pings and pongs: `allowed` in a window of `length_s`.

    A window begins with the first frame after the one before, so that two numbers are all it
    takes: what is bounded is work, and twice as much at a seam does no harm.
    """

    __slots__ = ("_allowed", "_begun", "_length_s", "_taken")

    def __init__(self, allowed: int, length_s: float) -> None:
        self._allowed = allowed
        self._length_s = length_s
        self._begun = -math.inf
        self._taken = 0

    def take(self, now: float) -> bool:
        """Count one; False if it is one too many."""
        if now - self._begun >= self._length_s:
            self._begun, self._taken = now, 0
        self._taken += 1
        return self._taken <= self._allowed


class RequestWindow:
    """At most `limit` hits of one key in any half-open interval of `window_s` seconds.

    Exact: the times of the admitted hits are kept. A hit at t counts in [t, t + window_s). What
    is refused is not recorded, so the wait that is answered stays true.

    Memory: about 250 bytes for a key with one hit and 250 + 9 × `limit` for a busy one, for at
    most `max_keys` keys. A key is forgotten once idle for a whole window, in generations: keys
    hit since the last turn are young, those of the turn before old, earlier ones expired and
    dropped a few at a time. If `max_keys` live keys are there, a new key is refused rather than
    a live one forgotten, for forgetting would admit its client beyond the promise.
    """

    def __init__(self, limit: int, window_s: float, *, max_keys: int = 65_536) -> None:
        if limit < 1 or max_keys < 1 or not 0 < window_s < math.inf:
            raise ValueError(f"RequestWindow of {limit} in {window_s} s for {max_keys} keys")
        self.limit = limit
        self.window_s = window_s
        self._max_keys = max_keys
        self._young: dict[str, array[float]] = {}
        self._old: dict[str, array[float]] = {}
        self._expired: dict[str, array[float]] = {}
        self._turned = -math.inf

    def __len__(self) -> int:
        """How many keys take up memory."""
        return len(self._young) + len(self._old) + len(self._expired)

    def hit(self, key: str, now: float) -> float:
        """Admit a hit and record it: 0.0; or return the seconds until one would be admitted."""
        times = self._young.get(key)
        if times is None:
            times = self._adopt(key, now)
            if times is None:
                return _until(self._turned + self.window_s, now)
        if len(times) == self.limit:
            if times[0] + self.window_s > now:
                return _until(times[0] + self.window_s, now)
            del times[: bisect_right(times, now, key=self._end)]
        times.append(now)
        return 0.0

    def wait(self, key: str, now: float) -> float:
        """Return what `hit` would, without recording anything."""
        times = self._young.get(key) or self._old.get(key)
        if times is None or len(times) < self.limit or times[0] + self.window_s <= now:
            return 0.0
        return _until(times[0] + self.window_s, now)

    def sweep(self, now: float, most: int = 256) -> int:
        """Forget keys idle for a window, at most `most` of them; return how many.

        To be called now and then. Unless called, idle keys are forgotten only when room is needed.
        """
        if not self._expired:
            self._turn(now)
        dropped = min(most, len(self._expired))
        for _ in range(dropped):
            self._expired.popitem()
        return dropped

    def holds(self, key: str) -> bool:
        """Tell whether the key has a place of its own."""
        return key in self._young or key in self._old

    def live(self, key: str, now: float) -> bool:
        """Tell whether a hit of the key still counts."""
        times = self._young.get(key) or self._old.get(key)
        return times is not None and times[-1] + self.window_s > now

    def has_room(self, now: float) -> bool:
        """Tell whether a new key would find a place."""
        return len(self) < self._max_keys or self.sweep(now, 1) > 0

    def _end(self, time: float) -> float:
        return time + self.window_s

    def _turn(self, now: float) -> None:
        """Age the generations, at most once a window; `_expired` must be empty.

        What is old then was last hit before the turn before, at least a window ago.
        """
        if now >= self._turned + self.window_s:
            self._expired, self._old, self._young = self._old, self._young, {}
            self._turned = now

    def _adopt(self, key: str, now: float) -> "array[float] | None":
        """Make an old or unknown key young; None if there is no room for an unknown one."""
        times = self._old.pop(key, None)
        if times is None:
            if not self.has_room(now):
                return None
            times = array("d")
        self._young[key] = times
        return times


class ClientRequestWindow:
    """A `RequestWindow` of client keys in which others cannot use up the room for newcomers.

    A newcomer that finds no room shares one window with all such of its network: an IPv4 /16, an
    IPv6 /32. As long as that window holds a hit, who is new in the network goes on counting there,
    so that no client has more than `limit` however room comes and goes.
    """

    def __init__(self, limit: int, window_s: float, *, max_keys: int = 131_072) -> None:
        self._own = RequestWindow(limit, window_s, max_keys=max_keys)
        self._shared = RequestWindow(limit, window_s, max_keys=65_536)

    def __len__(self) -> int:
        """How many keys and networks take up memory."""
        return len(self._own) + len(self._shared)

    def hit(self, key: str, now: float) -> float:
        """Admit a hit and record it: 0.0; or return the seconds until one would be admitted."""
        window, name = self._where(key, now)
        return window.hit(name, now)

    def wait(self, key: str, now: float) -> float:
        """Return what `hit` would, without recording anything."""
        window, name = self._where(key, now)
        return window.wait(name, now)

    def sweep(self, now: float, most: int = 256) -> int:
        """Forget what was idle for a window; see `RequestWindow.sweep`."""
        return self._own.sweep(now, most) + self._shared.sweep(now, most)

    def _where(self, key: str, now: float) -> tuple[RequestWindow, str]:
        room = self._own.holds(key) or self._own.has_room(now)
        if room and not len(self._shared):
            return self._own, key
        network = _network(key)
        if self._own.holds(key) or (room and not self._shared.live(network, now)):
            return self._own, key
        return self._shared, network


class FailureThrottle:
    """At most `limit` failed authentications of one key in any `window_s` seconds.

    Ask `wait` before looking at a credential, call `failed` after it proved bad.
    """

    def __init__(self, limit: int = 10, window_s: float = 60.0) -> None:
        self._window = ClientRequestWindow(limit, window_s)

    def wait(self, key: str, now: float) -> float:
        """Return 0.0 if the key may try, else the seconds until it may."""
        return self._window.wait(key, now)

    def failed(self, key: str, now: float) -> None:
        """Record a failure. One beyond the limit adds nothing."""
        self._window.hit(key, now)

    def sweep(self, now: float, most: int = 256) -> int:
        """Forget idle keys; see `RequestWindow.sweep`."""
        return self._window.sweep(now, most)


class ConnectionSlots:
    """At most `per_key` connections of one key and `total` in all, at a time."""

    def __init__(self, per_key: int, total: int) -> None:
        self._per_key = per_key
        self._total = total
        self._held: dict[str, int] = {}
        self._in_use = 0

    @property
    def in_use(self) -> int:
        """Slots held by all keys together."""
        return self._in_use

    @property
    def full(self) -> bool:
        """Whether no key at all would get a slot."""
        return self._in_use >= self._total

    def acquire(self, key: str) -> bool:
        """Take a slot for `key` if it has one left; tell whether it did."""
        held = self._held.get(key, 0)
        if held >= self._per_key or self.full:
            return False
        self._held[key] = held + 1
        self._in_use += 1
        return True

    def acquire_unnamed(self) -> bool:
        """Take a slot for a client whose key is not known yet, if any is left."""
        if self.full:
            return False
        self._in_use += 1
        return True

    def release_unnamed(self) -> None:
        """Give a slot back that no key holds."""
        self._in_use -= 1

    def release(self, key: str) -> None:
        """Give one slot of `key` back.

        Raises:
            RuntimeError: the key holds none; a path out released twice.
        """
        held = self._held.get(key, 0)
        if not held:
            raise RuntimeError(f"connection slot of {key}: released, but none is held")
        if held == 1:
            del self._held[key]
        else:
            self._held[key] = held - 1
        self._in_use -= 1


class PublishQuota:
    """At most `events_per_s` events a second of one subject, bursts up to `burst_s` seconds' worth.

    In any T seconds a subject has at most events_per_s × (T + burst_s) events admitted (to a
    millionth: the arithmetic is floating). A token bucket, kept as the time at which it would be
    full again (the virtual schedule of the generic cell rate algorithm, ITU-T I.371): one number
    a subject, about 200 bytes. A batch is admitted whole or not at all; one larger than `burst`
    never is. Subjects come from valid tokens, so there are as many as were issued.
    """

    def __init__(self, events_per_s: float, burst_s: float = 1.0) -> None:
        if not (0 < events_per_s < math.inf and 0 < burst_s < math.inf):
            raise ValueError(f"PublishQuota of {events_per_s} events/s, burst {burst_s} s")
        self._interval = 1.0 / events_per_s
        self._burst_s = burst_s
        self.burst = math.floor(events_per_s * burst_s)
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        """How many subjects take up memory."""
        return len(self._full_at)

    def take(self, subject: str, count: int, now: float) -> float:
        """Admit `count` events: 0.0; or return the seconds until they would be, or infinity.

        Infinity: the batch is larger than `burst` and must be split.
        """
        if count > self.burst:
            return math.inf
        full_at = max(self._full_at.get(subject, now), now) + count * self._interval
        if full_at <= now + self._burst_s * (1 + 1e-9):  # what `burst` rounds must still fit
            self._full_at[subject] = full_at
            return 0.0
        return _until(full_at - self._burst_s, now)

    def sweep(self, now: float) -> None:
        """Forget subjects whose burst is whole again: they are as good as new."""
        for subject in [name for name, full_at in self._full_at.items() if full_at <= now]:
            del self._full_at[subject]


def _until(due: float, now: float) -> float:
    """Return a wait after which `now + wait >= due` holds in floating point, too."""
    wait = due - now
    while now + wait < due:
        wait += math.ulp(due)
    return wait


def _parse(address: str) -> Address:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        return parsed.ipv4_mapped or parsed
    return parsed


def _network(key: str) -> str:
    """Return the network of a client key: an IPv4 /16, an IPv6 /32."""
    parsed = _parse(key.removesuffix("/64"))
    prefix = 16 if parsed.version == 4 else 32
    return str(ipaddress.ip_network((parsed, prefix), strict=False))


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _without_port(hop: str) -> str:
    """Strip what some proxies add to an address: `1.2.3.4:80`, `[2001:db8::1]:80`, `[::1]`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    host, colon, _ = hop.partition(":")
    return host if colon and "." in host and hop.count(":") == 1 else hop
