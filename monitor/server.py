"""Listens, sweeps deadlines, and drains when told to stop."""

import asyncio
import errno
import json
import logging
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from monitor.contract.verdicts import ExitCode, UsageError
from monitor.descriptors import make_room
from monitor.handshake import Origins
from monitor.host import SWEEP_S, Monitor
from monitor.listening import SecureListener
from monitor.settings import Settings
from monitor.statefolder import StateFolder

log = logging.getLogger("monitor.server")

#: Kernel send buffer of a connection: small, so that a reader that stalls is noticed early.
SEND_BUFFER_BYTES = 64 * 1024

_BACKLOG = 1_024


def run(settings: Settings, state: StateFolder) -> ExitCode:
    """Serve until SIGTERM, SIGINT or SIGHUP. Prints one JSON line with the URL when ready.

    Raises:
        UsageError: the address cannot be listened on, or a certificate cannot be used.
    """
    with asyncio.Runner(loop_factory=loop_factory(settings)) as runner:
        return runner.run(_serve(settings, state))


async def _serve(settings: Settings, state: StateFolder) -> ExitCode:
    room = make_room(settings.max_connections)
    settings = msgspec.structs.replace(settings, max_connections=room)
    sockets = listen(settings.host, settings.port)
    port = sockets[0].getsockname()[1]
    tls = tls_context(settings)
    monitor = Monitor(settings, state, own_origins(settings), clock=time.monotonic, wall=time.time)
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    servers = [await _serve_on(each, monitor, tls) for each in sockets]
    sweeping = Sweep(loop, monitor.sweep)
    url = f"{'wss' if tls else 'ws'}://{_bracketed(settings.host)}:{port}/"
    _announce(url)
    log.info("serving %s; state in %s", url, state.path)
    log.info(
        "for a token: wsproof token issue --subject NAME --scope subscribe --state %s", state.path
    )
    await stopped.wait()
    await _drain(monitor, settings.drain_timeout_s)
    for server in servers:
        server.close()
    sweeping.stop()
    monitor.close()
    log.info("stopped")
    return ExitCode.HOLDS


def _announce(url: str) -> None:
    """Print the line that says the server is ready.

    Raises:
        UsageError: stdout cannot be written to.
    """
    try:
        print(json.dumps({"url": url, "pid": os.getpid()}), flush=True)
    except OSError as error:
        sys.stdout = None  # what it still holds cannot be written
        raise UsageError(
            f"stdout: the server's URL cannot be written to it: {error.strerror}; redirect it to a"
            " file on a disk with space, or to /dev/null"
        ) from error


async def _drain(monitor: Monitor, timeout_s: float) -> None:
    """Deliver what was published, within half of the time, and send the clients away."""
    log.info("draining")
    started = time.monotonic()
    monitor.drain()
    try:
        await asyncio.wait_for(monitor.delivered.wait(), timeout_s / 2)
    except TimeoutError:
        log.warning("clients that read too slowly are not sent everything")
    monitor.dismiss()
    try:
        left_s = timeout_s - (time.monotonic() - started)
        await asyncio.wait_for(monitor.emptied.wait(), left_s)
    except TimeoutError:
        log.warning("dropping clients that did not end within %g s", timeout_s)


async def _serve_on(
    listening: socket.socket, monitor: Monitor, tls: ssl.SSLContext | None
) -> asyncio.AbstractServer | SecureListener:
    if tls is None:
        loop = asyncio.get_running_loop()
        return await loop.create_server(monitor.connect, sock=listening, backlog=_BACKLOG)
    listener = SecureListener(
        listening,
        monitor.connect,
        tls,
        handshake_timeout_s=monitor.settings.handshake_timeout_s,
        shutdown_timeout_s=monitor.settings.close_timeout_s,
    )
    listener.start(_BACKLOG)
    return listener


class Sweep:
    """Calls a function every `SWEEP_S` seconds until stopped."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sweep: Callable[[], None]) -> None:
        self._loop = loop
        self._sweep = sweep
        self._next = loop.call_later(SWEEP_S, self._run)

    def stop(self) -> None:
        """Call no more."""
        self._next.cancel()

    def _run(self) -> None:
        self._next = self._loop.call_later(SWEEP_S, self._run)
        self._sweep()


def listen(host: str, port: int) -> list[socket.socket]:
    """Return listening sockets on every address of `host`, all on one port; 0 takes a free one.

    Raises:
        UsageError: the port is taken or not ours to take, or the host is not this machine's.
    """
    sockets: list[socket.socket] = []
    for family, kind, protocol, address in resolve(host, port):
        at = (address[0], port, *address[2:])
        try:
            listening = socket.socket(family, kind, protocol)
            sockets.append(listening)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            if family is socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(at)
        except OSError as error:
            if sockets and error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                sockets.pop().close()  # a name may have an address this machine lacks
                continue
            for opened in sockets:
                opened.close()
            raise UsageError(_cannot_listen(host, port, error)) from error
        port = listening.getsockname()[1]
    if not sockets:
        raise UsageError(f"address {host}: is none of this machine's; check --host")
    return sockets


def resolve(host: str, port: int) -> list[tuple[int, int, int, tuple[Any, ...]]]:
    """Return family, type, protocol and address of every socket of `host`, IPv4 first.

    Raises:
        UsageError: the name means nothing.
    """
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise UsageError(f"address {host}: does not resolve: {error}; check --host") from error
    found.sort(key=lambda entry: entry[0] is not socket.AF_INET)
    return [(entry[0], entry[1], entry[2], entry[4]) for entry in dict.fromkeys(found)]


def own_origins(settings: Settings) -> Origins:
    """Return the origins of this server's own pages, and those the settings allow."""
    schemes = {"https"} if settings.tls_certificate else {"http"}
    if settings.behind_proxy:
        schemes.add("https")
    hosts = {"localhost", "127.0.0.1", "::1", settings.host.lower()}
    allowed = frozenset(settings.allow_origin)
    hosts.update(name for name in (urlsplit(origin).hostname for origin in allowed) if name)
    return Origins(frozenset(hosts), frozenset(schemes), allowed)


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return the TLS context of the settings, or None for cleartext.

    Raises:
        UsageError: certificate or key cannot be used.
    """
    if settings.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Connections last, so nothing is won by resuming sessions. What a ticket would cost: it comes
    # unasked behind the handshake, where a client that reads and writes in two threads of a Python
    # before 3.13.4 (no lock around its TLS connection) loses its request now and then.
    context.num_tickets = 0
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"settings: keys `tls_certificate` and `tls_key`: {settings.tls_certificate} and"
            f" {settings.tls_key} cannot be used: {error}"
        ) from error
    return context


def loop_factory(settings: Settings) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the event loop of the settings.

    Raises:
        UsageError: uvloop is asked for and not installed.
    """
    if settings.event_loop != "asyncio":
        try:
            import uvloop  # noqa: PLC0415 - absent on some platforms, and then not needed
        except ImportError:
            if settings.event_loop == "uvloop":
                raise UsageError(
                    "settings: key `event_loop`: uvloop is not installed; install it, or take auto"
                ) from None
        else:
            return uvloop.new_event_loop
    return asyncio.new_event_loop


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    where = f"address {host or '*'} port {port}"
    if error.errno == errno.EADDRINUSE:
        return f"{where}: taken by another program; stop it, or give another --port (0: a free one)"
    if error.errno == errno.EACCES:
        return f"{where}: not permitted; ports below 1024 need privileges; give another --port"
    return f"{where}: cannot be listened on: {error.strerror}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
