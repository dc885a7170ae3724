"""The loopback guard: load and attack traffic goes to this machine only, unless allowed."""

import ipaddress
import socket
from collections.abc import Collection
from urllib.parse import urlsplit

from monitor.contract.verdicts import NoVerdictError, RefusedError


def is_loopback(address: str) -> bool:
    """Tell whether an IP address literal is loopback; an IPv4-mapped one counts as its IPv4."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def is_allowed(host: str, allowed_hosts: Collection[str]) -> bool:
    """Tell whether a host is among those allowed; names are the same in any case (RFC 4343)."""
    return host.lower() in {allowed.lower() for allowed in allowed_hosts}


def permit(url: str, allowed_hosts: Collection[str] = ()) -> str:
    """Resolve the URL's host and return the address to connect to.

    The caller connects to the returned address, so that what was judged is what is used.

    Raises:
        RefusedError: the address is not loopback and the host is not in `allowed_hosts`.
        NoVerdictError: the host does not resolve.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # a name that is too long for one, too
        raise NoVerdictError(f"target {url}: host {host!r} does not resolve: {error}") from error
    # IPv4 first: 127.0.0.0/8 offers one source address per simulated client.
    found.sort(key=lambda entry: entry[0] is not socket.AF_INET)
    address = str(found[0][4][0])
    if not is_loopback(address) and not is_allowed(host, allowed_hosts):
        named = f"{host} is {address}, which" if host != address else f"{host}"
        raise RefusedError(
            f"target {url}: {named} is not this machine. Traffic goes to"
            f" loopback only; if you may test that host, pass --i-am-allowed-to-test {host}"
        )
    return address
