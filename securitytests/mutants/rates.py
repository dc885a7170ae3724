"""Flaws of the request window and of the quota."""

import time
from collections.abc import Callable
from typing import Any

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_HIT = "monitor.limits:RequestWindow.hit"
_FULL = "if len(times) == self.limit:"
_KEY = "monitor.limits:client_key"
_RECEIVE = "monitor.session:Session.receive"
_JUDGE = "monitor.admission:Admissions.judge"
_COUNT = "wait = self._gate.count(entered, now)"


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL1",), may=("RL*", "AU9"))
def one_request_more(patch: Patch) -> None:
    """The window admits one request more than promised."""
    patch.text(_HIT, _FULL, "if len(times) == self.limit + 1:")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL1",), may=("RL*", "AU9"))
def one_request_fewer(patch: Patch) -> None:
    """The window admits one request fewer than promised."""
    patch.text(_HIT, _FULL, "if len(times) == self.limit - 1:")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL1",), may=("RL*",))
def retry_too_soon(patch: Patch) -> None:
    """Retry-After names half of the time that has to pass."""
    patch.text("monitor.limits:_until", "return wait", "return wait / 2")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL2",), may=("RL*", "AU9"))
def window_starts_anew(patch: Patch) -> None:
    """When the oldest request leaves the window, all are forgotten: a fixed window."""
    patch.text(_HIT, "del times[: bisect_right(times, now, key=self._end)]", "del times[:]")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL2",), may=("RL*", "AU9"))
def window_is_a_tenth_short(patch: Patch) -> None:
    """A request leaves the window after nine tenths of its length."""
    patch.text(
        _HIT, "if times[0] + self.window_s > now:", "if times[0] + 0.9 * self.window_s > now:"
    )
    patch.text("monitor.limits:RequestWindow._end", "self.window_s", "0.9 * self.window_s")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL2",), may=("RL*", "AU9"))
def allowance_trickles_back(patch: Patch) -> None:
    """A token bucket in place of a window: allowance comes back while it is being used up."""
    patch.text(
        _HIT,
        _FULL,
        "if len(times) == self.limit and (now - times[-1]) * self.limit > 2 * self.window_s:\n"
        "        del times[:1]\n    if len(times) == self.limit:",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL3",), may=("RL*",))
def messages_count_by_connection(patch: Patch) -> None:
    """Each connection has an allowance of messages of its own."""
    patch.text(
        "monitor.session:Session._limited",
        "self._rules.admit(self._address, now)",
        'self._rules.admit(f"{self._address} {id(self)}", now)',
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL3",), may=("RL*", "CN*"))
def reset_forgets_the_address(patch: Patch) -> None:
    """When an address has no connection left, its requests are forgotten."""
    patch.text(
        "monitor.gate:Gate.leave",
        "self.leave_slot(entered)",
        "self.leave_slot(entered); entered.key in self._slots._held or"
        " self._window._own._young.pop(entered.key, None)",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL4",), may=("RL*", "CN*"))
def anyone_is_a_trusted_proxy(patch: Patch) -> None:
    """X-Forwarded-For is believed from everyone."""
    patch.text("monitor.gate:Gate.proxied", "if not self._proxies:", "if True:")
    patch.text("monitor.gate:Gate.proxied", "return False", "return True")
    patch.text(
        "monitor.limits:forwarded_client",
        "if not _within(client, trusted):\n        return peer",
        "if False:\n        return peer",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL4",), may=("RL*", "CN*"))
def x_real_ip_is_believed(patch: Patch) -> None:
    """X-Forwarded-For is believed from proxies only; X-Real-IP from everyone."""
    patch.text(
        "monitor.host:Monitor.identify",
        "if not self._gate.proxied(connection.peer):",
        "if request is not None and request.headers.get('X-Real-IP'):\n"
        "        self._gate.leave_slot(connection.entered)\n"
        "        connection.entered.key = request.headers['X-Real-IP']\n"
        "        self._gate._take_slot(connection.entered)\n"
        "        return self._without_slot(connection)\n"
        "    if not self._gate.proxied(connection.peer):",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL5",))
def every_ipv6_address_counts_alone(patch: Patch) -> None:
    """An IPv6 address counts as itself."""
    patch.text(_KEY, "int(parsed) >> 64 << 64", "int(parsed)")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL5",))
def neighbouring_lines_share(patch: Patch) -> None:
    """IPv6 counts by its first 48 bits: many customers of one provider are one client."""
    patch.text(_KEY, "int(parsed) >> 64 << 64", "int(parsed) >> 80 << 80")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL5",))
def mapped_addresses_count_apart(patch: Patch) -> None:
    """An IPv4-mapped address is taken for IPv6: all of IPv4 is one /64 beside itself."""
    patch.text("monitor.limits:_parse", "return parsed.ipv4_mapped or parsed", "return parsed")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL6",), may=("RL*",))
def unknown_pages_are_free(patch: Patch) -> None:
    """Only what exists is counted."""
    patch.text(
        _JUDGE,
        _COUNT,
        "entered.counted = entered.counted or (not asked.upgrade and len(asked.path) > 12)\n"
        f"    {_COUNT}",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL6",), may=("RL*",))
def handshakes_count_apart(patch: Patch) -> None:
    """Handshakes have an allowance of their own beside that of pages and messages."""
    patch.text(
        _JUDGE,
        _COUNT,
        "if asked.upgrade:\n        entered.counted = True\n"
        "        wait = self._gate.admit(entered.key + ' up', now)\n"
        f"    else:\n        {_COUNT}",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL6",), may=("RL*",))
def answered_messages_are_free(patch: Patch) -> None:
    """Messages that the service can answer are not counted."""
    patch.text(
        _RECEIVE,
        "return self._limited(message.ref, now) or self._handle(message, now)",
        "return self._handle(message, now)",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL7",), may=("RL*",))
def malformed_messages_are_free(patch: Patch) -> None:
    """A message that is no JSON is not counted."""
    patch.text(
        _RECEIVE,
        "return self._limited(error.ref, now) or self._malformed(error)",
        "return self._malformed(error)",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL7",), may=("RL*",))
def foreign_origins_are_free(patch: Patch) -> None:
    """A handshake that is refused for its Origin is not counted."""
    patch.text(
        _JUDGE,
        _COUNT,
        f"entered.counted = entered.counted or asked.foreign\n    {_COUNT}",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL7",), may=("RL*",))
def failed_handshakes_are_given_back(patch: Patch) -> None:
    """A handshake that fails for its token is taken off the count again."""
    patch.text(
        "monitor.admission:Admissions._client",
        "wait = self._gate.failed(entered.key, now)",
        "wait = self._gate.failed(entered.key, now)\n"
        "    self._gate._window._own._young.get(entered.key, [0]).pop()",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL8",))
def quota_by_connection(patch: Patch) -> None:
    """Each connection has a publishing quota of its own."""
    patch.text(
        "monitor.session:Session._publish",
        "self._rules.quota(self.grant.subject, len(accepted), now)",
        'self._rules.quota(f"{self.grant.subject} {id(self)}", len(accepted), now)',
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL8",))
def quota_counts_messages(patch: Patch) -> None:
    """A batch counts as one event against the quota."""
    patch.text(
        "monitor.session:Session._publish",
        "self._rules.quota(self.grant.subject, len(accepted), now)",
        "self._rules.quota(self.grant.subject, 1, now)",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL9",), may=("RL*", "CN*", "FR*", "AU9"))
def refusals_are_slowed_for_everyone(patch: Patch) -> None:
    """Whoever is over the limit is made to wait, and all others with him."""

    def slowly(hit: Callable[[Any, str, float], float]) -> Callable[[Any, str, float], float]:
        def hit_slowly(window: Any, key: str, now: float) -> float:
            wait = hit(window, key, now)
            if wait > 0:
                time.sleep(0.05)
            return wait

        return hit_slowly

    patch.wrap("monitor.limits:RequestWindow.hit", slowly)


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL9",), may=("RL*", "CN*", "FR*", "ID6"))
def stalled_readers_are_queued_for(patch: Patch) -> None:
    """What a reader does not take is kept for it, without a bound."""
    patch.text("monitor.connection:Connection.pause_writing", "self.writable = False", "return")
    patch.text(
        "monitor.connection:Connection.deliver",
        "self._write(frames)",
        "self._write(bytes(bytearray(frames)))",  # its own copy, as a queue of its own would be
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL9",), may=("RL*", "CN*", "FR*"))
def refused_heads_are_kept(patch: Patch) -> None:
    """Of each refused request half a megabyte is kept, for an inspection that never comes."""
    kept: list[bytearray] = []

    def keeping(hit: Callable[[Any, str, float], float]) -> Callable[[Any, str, float], float]:
        def hit_and_keep(window: Any, key: str, now: float) -> float:
            wait = hit(window, key, now)
            if wait > 0:
                kept.append(bytearray(b"x" * 524_288))
            return wait

        return hit_and_keep

    patch.wrap("monitor.limits:RequestWindow.hit", keeping)


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL10",), may=("RL9",))
def each_address_costs_much(patch: Patch) -> None:
    """For each address that is seen once, 32 KiB are set aside, and never given back."""
    kept: dict[str, bytearray] = {}

    def keeping(hit: Callable[[Any, str, float], float]) -> Callable[[Any, str, float], float]:
        def hit_and_keep(window: Any, key: str, now: float) -> float:
            if key not in kept:
                kept[key] = bytearray(b"x" * 32_768)
            return hit(window, key, now)

        return hit_and_keep

    patch.wrap("monitor.limits:RequestWindow.hit", keeping)


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL11",), may=("RL*", "CN*", "AU9"))
def neighbours_count_together(patch: Patch) -> None:
    """Two IPv4 addresses that differ in their last bit only are one client."""
    patch.text(_KEY, "return str(parsed)", "return str(ipaddress.IPv4Address(int(parsed) & ~1))")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL11",), may=("AU*", "HS*", "TK*", "SE*", "RL7"))
def failures_count_for_all(patch: Patch) -> None:
    """Failed authentications are counted for all addresses together."""
    patch.text(
        "monitor.gate:Gate.failed", "self._throttle.wait(key, now)", "self._throttle.wait('', now)"
    )
    patch.text(
        "monitor.gate:Gate.failed",
        "self._throttle.failed(key, now)",
        "self._throttle.failed('', now)",
    )
