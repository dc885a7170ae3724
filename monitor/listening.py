"""Accepts connections that speak TLS, so that each counts from the moment it is accepted.

A listening socket that is left to the event loop shows a connection only once its TLS handshake
is complete; until then it would hold a descriptor that no limit and no deadline of ours knows of.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Protocol, cast

log = logging.getLogger("monitor.listening")

#: Connections accepted before others have their turn.
_ACCEPTED_AT_ONCE = 64

#: How long nothing is accepted after the system had nothing left to accept with.
_OUT_OF_RESOURCES_S = 1.0


class Accepted(Protocol):
    """A connection, an `asyncio.Protocol` too, that is told of its socket before its transport."""

    def accepted(self, peer: str, abandon: Callable[[], object]) -> None:
        """Take note of the peer's address; `abandon` drops it until there is a transport."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Give everything back: there will be no transport. Idempotent."""


class SecureListener:
    """One listening socket whose connections speak TLS.

    Args:
        listening: the socket, bound and not yet listening.
        connect: makes the protocol object of a new connection.
        context: with the server's certificate.
        handshake_timeout_s: until the TLS handshake must be complete. That is for the connection to
            see to, which knows when it began; after twice the time it is ended here.
        shutdown_timeout_s: a peer has to finish a close.
    """

    def __init__(
        self,
        listening: socket.socket,
        connect: Callable[[], Accepted],
        context: ssl.SSLContext,
        *,
        handshake_timeout_s: float,
        shutdown_timeout_s: float,
    ) -> None:
        self._listening = listening
        self._connect = connect
        self._context = context
        self._handshake_timeout_s = handshake_timeout_s
        self._shutdown_timeout_s = shutdown_timeout_s
        self._negotiations: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def start(self, backlog: int) -> None:
        """Listen."""
        self._listening.setblocking(False)
        self._listening.listen(backlog)
        self._loop.add_reader(self._listening, self._accept)

    def close(self) -> None:
        """Accept no more; handshakes under way are abandoned."""
        self._loop.remove_reader(self._listening)
        self._listening.close()
        for negotiation in self._negotiations:
            negotiation.cancel()

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                accepted, address = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("no connection can be accepted for a while: %s", error.strerror)
                self._loop.remove_reader(self._listening)
                self._loop.call_later(_OUT_OF_RESOURCES_S, self._again)
                return
            accepted.setblocking(False)
            connection = self._connect()
            negotiation = self._loop.create_task(self._negotiate(connection, accepted))
            self._negotiations.add(negotiation)
            negotiation.add_done_callback(partial(self._negotiated, connection, accepted))
            connection.accepted(address[0], negotiation.cancel)

    def _again(self) -> None:
        if self._listening.fileno() >= 0:
            self._loop.add_reader(self._listening, self._accept)

    async def _negotiate(self, connection: Accepted, accepted: socket.socket) -> None:
        """Speak TLS. What the connection held is given back before its peer can see the end.

        A peer that sees it and comes again at once must find its place free. So the connection's
        own deadline comes before the one set here, which has the socket closed first.
        """
        try:
            await self._loop.connect_accepted_socket(
                lambda: cast("asyncio.Protocol", connection),
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=2 * self._handshake_timeout_s,
                ssl_shutdown_timeout=self._shutdown_timeout_s,
            )
        except BaseException as failure:
            connection.connection_lost(failure if isinstance(failure, OSError) else None)
            raise

    def _negotiated(
        self, connection: Accepted, accepted: socket.socket, negotiation: "asyncio.Task[None]"
    ) -> None:
        """Forget a handshake that is over, and close the socket of one that came to nothing."""
        self._negotiations.discard(negotiation)
        failure = None if negotiation.cancelled() else negotiation.exception()
        if failure is None and not negotiation.cancelled():
            return
        connection.connection_lost(None)  # for one that was cancelled before it began
        accepted.close()
        if failure is not None and not isinstance(failure, OSError):
            raise failure  # a defect: the event loop logs it
