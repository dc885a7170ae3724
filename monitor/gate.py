"""Who may come in, and how often: slots, request windows, quotas and throttles by address.

No sockets: connections are known by identity only. The clock is passed in.
"""

import ipaddress
from collections.abc import Sequence

from monitor.limits import (
    ClientRequestWindow,
    ConnectionSlots,
    FailureThrottle,
    PublishQuota,
    client_key,
    forwarded_client,
)
from monitor.settings import Settings

#: Refused connections an address may have waiting for their answer; more are dropped unheard.
MAX_REFUSING = 10

#: The same of all addresses together: each takes a file descriptor.
MAX_REFUSING_IN_ALL = 128

#: Refusing WebSocket connections an address may have, so that a browser learns why.
MAX_EXPLAINED = 2


class Pass:
    """What one connection holds of the gate's resources; given back once, whole."""

    __slots__ = ("counted", "explained", "key", "refusing", "slot", "unnamed")

    def __init__(self, key: str) -> None:
        self.key = key
        self.slot = False
        self.unnamed = False  # its slot is counted for no address
        self.refusing = False
        self.explained = False
        self.counted = False


class Gate:
    """The limits of one server, from its settings."""

    def __init__(self, settings: Settings) -> None:
        self._proxies = [ipaddress.ip_network(n, strict=False) for n in settings.trusted_proxies]
        self._window = ClientRequestWindow(settings.requests_per_window, settings.window_s)
        self._slots = ConnectionSlots(settings.connections_per_address, settings.max_connections)
        self._throttle = FailureThrottle(settings.failures_per_minute)
        self._quota = PublishQuota(settings.publish_events_per_s)
        self._refusing: dict[str, int] = {}
        self._refusing_in_all = 0
        self._explained: dict[str, int] = {}

    @property
    def in_use(self) -> int:
        """Connections that hold a slot."""
        return self._slots.in_use

    @property
    def full(self) -> bool:
        """Whether the server as a whole has no slot left."""
        return self._slots.full

    def proxied(self, peer: str) -> bool:
        """Tell whether the peer is a trusted proxy, whose headers name the client."""
        if not self._proxies:
            return False
        address = ipaddress.ip_address(peer.partition("%")[0])
        return any(address in network for network in self._proxies)

    def enter(self, peer: str) -> Pass:
        """Take a slot for a new connection; see `Pass.slot` for whether it got one."""
        entered = Pass(client_key(peer))
        self._take_slot(entered)
        return entered

    def unname(self, entered: Pass) -> None:
        """Count a proxy's connection for no address: the proxy has no limit of its own."""
        self.leave_slot(entered)
        entered.slot = entered.unnamed = self._slots.acquire_unnamed()
        if not entered.slot:
            self._refuse(entered)

    def identify(self, entered: Pass, peer: str, forwarded_for: Sequence[str]) -> None:
        """Count the connection under the client a trusted proxy names, not under the proxy."""
        self.leave_slot(entered)
        entered.key = client_key(forwarded_client(peer, forwarded_for, self._proxies))
        self._take_slot(entered)

    def overcrowded(self, entered: Pass) -> bool:
        """Tell whether too many refused connections, of the address or at all, wait to be told."""
        of_address = self._refusing.get(entered.key, 0)
        return of_address > MAX_REFUSING or self._refusing_in_all > MAX_REFUSING_IN_ALL

    def explain(self, entered: Pass) -> bool:
        """Take one of the address's refusing WebSocket connections; tell whether there was one."""
        taken = self._explained.get(entered.key, 0)
        if taken >= MAX_EXPLAINED:
            return False
        self._explained[entered.key] = taken + 1
        entered.explained = True
        return True

    def count(self, entered: Pass, now: float) -> float:
        """Count the connection's own request, once; 0.0 or the seconds to wait."""
        if entered.counted:
            return 0.0
        entered.counted = True
        return self.admit(entered.key, now)

    def leave(self, entered: Pass, now: float) -> None:
        """Take everything back. A connection that never asked counts as a request all the same."""
        self.count(entered, now)
        self.leave_slot(entered)
        if entered.explained:
            _decrease(self._explained, entered.key)

    def leave_slot(self, entered: Pass) -> None:
        """Take back the slot, or the place among the refused."""
        if entered.unnamed:
            self._slots.release_unnamed()
        elif entered.slot:
            self._slots.release(entered.key)
        entered.slot = entered.unnamed = False
        if entered.refusing:
            _decrease(self._refusing, entered.key)
            self._refusing_in_all -= 1
            entered.refusing = False

    def admit(self, key: str, now: float) -> float:
        """Count a request of the address; 0.0 or the seconds until one would be admitted."""
        return self._window.hit(key, now)

    def failed(self, key: str, now: float) -> float:
        """Count a failed authentication; 0.0, or the seconds to wait when there were too many."""
        wait = self._throttle.wait(key, now)
        if wait == 0.0:
            self._throttle.failed(key, now)
        return wait

    def quota(self, subject: str, events: int, now: float) -> float:
        """Take events from a subject's quota; 0.0, seconds to wait, or infinity: too large."""
        return self._quota.take(subject, events, now)

    def sweep(self, now: float) -> None:
        """Forget idle addresses and subjects; bounded work a call."""
        self._window.sweep(now)
        self._throttle.sweep(now)
        self._quota.sweep(now)

    def _take_slot(self, entered: Pass) -> None:
        entered.slot = self._slots.acquire(entered.key)
        if not entered.slot:
            self._refuse(entered)

    def _refuse(self, entered: Pass) -> None:
        entered.refusing = True
        self._refusing[entered.key] = self._refusing.get(entered.key, 0) + 1
        self._refusing_in_all += 1


def _decrease(counts: dict[str, int], key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
