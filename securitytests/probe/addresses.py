"""Source addresses for the probe: a fresh loopback address for whoever asks.

Services count by address; with an address of its own, no check uses up another's allowance.
"""

import ipaddress
import secrets
from collections.abc import Iterator

from monitor.contract.guard import is_loopback

_FIRST = int(ipaddress.IPv4Address("127.64.0.1"))
_LAST = int(ipaddress.IPv4Address("127.191.255.254"))


class Addresses:
    """Hands out addresses, none twice in a run, beginning at a random one of eight million.

    At random, so that a service that was not restarted between runs does not remember the last.
    For a target that is not reached through IPv4 loopback there is no choice: None.
    """

    def __init__(self, target_address: str) -> None:
        self.many = is_loopback(target_address) and ":" not in target_address
        self._next = _sequence(_FIRST + secrets.randbelow(_LAST - _FIRST))

    def take(self) -> str | None:
        """Return an address no one has had, or None: whichever the system takes."""
        return next(self._next) if self.many else None


def _sequence(start: int) -> Iterator[str]:
    at = start
    while True:
        if at & 0xFF not in {0, 255}:
            yield str(ipaddress.IPv4Address(at))
        at = at + 1 if at < _LAST else _FIRST
