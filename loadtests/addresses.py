"""Allots loopback source addresses, so that every promise of a target's limits stays on.

A client is known to a service by its address. From what the service promises (connections and
requests per address) follows how many clients may share one; every repeat gets addresses of its
own, so that no request window of an earlier one is still filled.
"""

import ipaddress
import socket
from dataclasses import dataclass

from monitor.contract.guard import is_loopback
from monitor.contract.target import Target
from monitor.contract.verdicts import UsageError

#: 127.16.0.0 upwards: clear of 127.0.0.1 and of the name-service stubs at 127.0.0.53 and .54.
_FIRST = int(ipaddress.IPv4Address("127.16.0.0"))
_LAST = int(ipaddress.IPv4Address("127.255.255.254"))

#: Runs against a service that keeps running start at different places: 3,500 blocks of 4,096.
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Allotment:
    """Source addresses of one repeat: the publisher's, then the subscribers', by client number.

    Address number k is a pure function of k, so workers that own disjoint ranges of clients
    never share a limit they do not know of. `connections` is how many clients there are at most;
    strangers, each with an address of its own, come after them. `first` is None where the kernel
    must choose.
    """

    first: int | None
    clients_per_address: int
    connections: int = 0
    #: How many clients other processes have: ours come after them.
    before: int = 0

    @property
    def publisher(self) -> str | None:
        """The publisher's own address."""
        return None if self.first is None else str(ipaddress.IPv4Address(self.first))

    def client(self, number: int) -> str | None:
        """The address of client `number` of this process, from 0."""
        if self.first is None:
            return None
        offset = 1 + (self.before + number) // self.clients_per_address
        return str(ipaddress.IPv4Address(self.first + offset))

    def stranger(self, number: int) -> str | None:
        """The address of stranger `number`: no subscriber's, and no other stranger's."""
        if self.first is None:
            return None
        offset = self.count(self.connections) + number
        return str(ipaddress.IPv4Address(self.first + offset))

    def count(self, clients: int) -> int:
        """How many addresses `clients` clients and a publisher need."""
        return 1 + -(-clients // self.clients_per_address)


def clients_per_address(target: Target) -> int:
    """How many clients may share one address under the target's promises.

    Each uses one connection, and one request for its handshake plus one a message it sends.
    """
    promises = target.promises
    methods = target.authentication.methods
    requests = 1 + (methods[:1] == ("message",)) + (target.subscribe.message is not None)
    limits = [
        promises.connections_per_address,
        promises.requests_per_window and promises.requests_per_window // requests,
    ]
    return max(1, min((limit for limit in limits if limit is not None), default=1_000_000))


class Allotter:
    """Allots each repeat of a run addresses of its own, however many repeats there will be."""

    def __init__(self, target: Target, peer: str, start: int) -> None:
        self._target = target
        self._peer = peer
        self._block = start

    def take(self, connections: int, strangers: int = 0) -> Allotment:
        """Return addresses nobody had before in this run.

        Raises:
            UsageError: this machine has too few source addresses; names the number needed.
        """
        found = allot(self._target, self._peer, connections, 1, self._block, strangers)[0]
        self._block += 1 + (found.count(connections) + strangers) // _BLOCK
        return found

    def shared(self, clients: int, workers: int) -> Allotment:
        """Return addresses for clients that are divided among several processes.

        Towards another host every process stands for a host of its own, with an address of its
        own.

        Raises:
            UsageError: as `take`.
        """
        each = -(-clients // workers)
        here = is_loopback(self._peer) and ":" not in self._peer
        return self.take(each * workers if here else each)


def allot(
    target: Target, peer: str, clients: int, repeats: int, start: int, strangers: int = 0
) -> list[Allotment]:
    """Return one allotment a repeat, without overlap.

    `peer` is the target's resolved address; `start` chooses where in 127.0.0.0/8 to begin.

    Raises:
        UsageError: this machine has too few source addresses; names the number needed.
    """
    share = clients_per_address(target)
    needed = 1 + -(-clients // share) + strangers
    if not is_loopback(peer) or ":" in peer:
        if needed > 2:
            raise UsageError(
                f"target {target.url}: {clients} clients need {needed} source addresses under its"
                f" limits ({share} clients an address), and towards {peer} this machine has one;"
                f" pass --clients {share} or less"
            )
        return [Allotment(None, share, clients)] * repeats
    blocks = (_LAST - _FIRST) // _BLOCK
    first = _FIRST + (start % blocks) * _BLOCK
    if first + needed * repeats > _LAST:
        first = _FIRST
    allotments = [Allotment(first + needed * number, share, clients) for number in range(repeats)]
    _check_bindable(str(ipaddress.IPv4Address(first)), needed * repeats)
    return allotments


def _check_bindable(address: str, needed: int) -> None:
    """Linux owns all of 127.0.0.0/8; other systems only what was added by hand."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            raise UsageError(
                f"source address {address}: cannot be used ({error.strerror}); this load needs"
                f" {needed} loopback addresses from there on. On macOS add each with"
                f" `sudo ifconfig lo0 alias ADDRESS`, or pass fewer --clients or --repeats"
            ) from error
