"""One TCP or TLS connection: from a chosen source address, any bytes out, bounded bytes in.

Every wait has a deadline. The loopback guard judges the address that is really connected to.
"""

import asyncio
import contextlib
import errno
import socket
import ssl
import struct
from collections.abc import Collection
from typing import Self
from urllib.parse import urlsplit

import msgspec

from monitor.contract.guard import is_allowed, is_loopback, permit
from monitor.contract.verdicts import RefusedError
from securitytests.probe.arrivals import TimedReader
from securitytests.probe.transcript import Transcript

#: Bytes buffered of a service that sends faster than the probe reads; then TCP holds it back.
RECEIVE_BUFFER_BYTES = 64 * 1024

#: How long an operation that should be immediate may take.
PATIENCE_S = 5.0


class Endpoint(msgspec.Struct, frozen=True):
    """Where a service is: the address judged and connected to, and how it is spoken of.

    `target` is the path and query of its URL, `host` what stands in the Host header.
    """

    address: str
    port: int
    host: str
    target: str
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    allowed: bool = False


def endpoint_of(
    url: str, allowed_hosts: Collection[str] = (), *, tls: ssl.SSLContext | None = None
) -> Endpoint:
    """Resolve a ws:// or wss:// URL.

    Raises:
        RefusedError: it is not on this machine and was not allowed by name.
        NoVerdictError: it does not resolve.
    """
    parts = urlsplit(url)
    address = permit(url, allowed_hosts)
    secure = parts.scheme == "wss"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Endpoint(
        address=address,
        port=parts.port or (443 if secure else 80),
        host=parts.netloc.rpartition("@")[2],
        target=target,
        tls=(tls or ssl.create_default_context()) if secure else None,
        server_name=parts.hostname or "",
        allowed=is_allowed(parts.hostname or "", allowed_hosts),
    )


class StreamEndedError(Exception):
    """The service ended the connection while something was sent to it; `how` is eof or reset."""

    def __init__(self, how: str) -> None:
        super().__init__(f"the service ended the connection ({how})")
        self.how = how


class UnreachableError(Exception):
    """No connection could be made; the text says why."""


class NoSocketError(Exception):
    """This machine has no descriptor, port or memory left to connect from."""


#: What a connection fails with that was never tried.
_NOT_TRIED = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.EADDRNOTAVAIL,
        errno.EADDRINUSE,
        errno.ENOBUFS,
        errno.ENOMEM,
    }
)


class Stream:
    """An open connection. `number` counts the connections of a check; `source` is our address."""

    def __init__(
        self,
        reader: TimedReader,
        writer: asyncio.StreamWriter,
        transcript: Transcript,
        number: int,
    ) -> None:
        self.number = number
        self.source = str(writer.get_extra_info("sockname")[0])
        self.transcript = transcript
        self.opened_at = asyncio.get_running_loop().time()
        self._reader = reader
        self._writer = writer
        self._finished = False

    @classmethod
    async def open(
        cls,
        endpoint: Endpoint,
        transcript: Transcript,
        number: int,
        source: str | None,
        *,
        kernel_buffer_bytes: int | None = None,
        within: float = PATIENCE_S,
    ) -> Self:
        """Connect from `source` (None: whichever address the system takes).

        `kernel_buffer_bytes` sets SO_RCVBUF: small, so that a peer that does not read is felt.

        Raises:
            UnreachableError: nothing listens there, or the deadline passed.
            NoSocketError: this machine has nothing left to connect from.
            RefusedError: what was connected to is not what was judged.
        """
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in endpoint.address else socket.AF_INET
        try:
            raw = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            raise NoSocketError(f"no socket to connect from: {error}") from error
        raw.setblocking(False)
        try:
            if kernel_buffer_bytes is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kernel_buffer_bytes)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source is not None:
                raw.bind((source, 0))
            async with asyncio.timeout(within):
                await loop.sock_connect(raw, (endpoint.address, endpoint.port))
                _judge_peer(raw, endpoint)
                reader = TimedReader(RECEIVE_BUFFER_BYTES, loop)
                protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
                transport, _ = await loop.create_connection(
                    lambda: protocol,
                    sock=raw,
                    ssl=endpoint.tls,
                    server_hostname=endpoint.server_name if endpoint.tls else None,
                )
                writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        except (OSError, TimeoutError) as error:
            raw.close()
            if error.errno in _NOT_TRIED:
                raise NoSocketError(f"no socket to connect from: {error}") from error
            why = str(error) or f"no answer within {within:g} s"
            raise UnreachableError(f"{endpoint.address} port {endpoint.port}: {why}") from error
        except BaseException:
            raw.close()
            raise
        stream = cls(reader, writer, transcript, number)
        transcript.note(number, "note", f"connected from {stream.source}")
        return stream

    @property
    def age_s(self) -> float:
        """Seconds since the connection was made."""
        return asyncio.get_running_loop().time() - self.opened_at

    async def send(self, data: bytes, summary: str, within: float = PATIENCE_S) -> None:
        """Send bytes; `summary` stands for them in the transcript.

        Raises:
            StreamEndedError: the service has ended the connection, or takes nothing in time, or
                we have said that we send no more.
        """
        if self._finished:
            raise StreamEndedError("finished")
        self.transcript.note(self.number, "sent", summary, len(data))
        if self._writer.is_closing():
            raise StreamEndedError("closed")
        try:
            self._writer.write(data)
            async with asyncio.timeout(within):
                await self._writer.drain()
        except TimeoutError as error:
            raise StreamEndedError("takes no more") from error
        except (OSError, ssl.SSLError) as error:
            raise StreamEndedError("reset") from error

    @property
    def received_at(self) -> float:
        """When what was received last had come (loop time): before it was asked for, maybe."""
        return self._reader.taken_at

    async def receive(self, within: float, most: int = RECEIVE_BUFFER_BYTES) -> bytes | None:
        """Return some bytes, empty at the end of the stream, or None if none came in time.

        What has come counts, whether or not the event loop stood still and the time is over.

        Raises:
            StreamEndedError: the connection was reset.
        """
        try:
            try:
                async with asyncio.timeout(max(within, 0)):
                    return await self._reader.take(most)
            except TimeoutError:
                return await self._reader.take(most) if self._reader.waiting else None
        except (OSError, ssl.SSLError) as error:
            raise StreamEndedError("reset") from error

    async def dropped(self, within: float, nudge: bytes = b"", every_s: float = 0.1) -> bool:
        """Listen until the service has let go of the connection; False if it has not in time.

        With `nudge`, those bytes are sent every `every_s` seconds, and a FIN alone does not count:
        a service that has let go of a connection answers them with a reset.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        try:
            while (left := deadline - loop.time()) > 0:
                data = await self.receive(min(left, every_s) if nudge else left)
                if data == b"" and not nudge:
                    return True
                if nudge:
                    await self.send(nudge, "nudge", max(left, every_s))
                    if data == b"":
                        await asyncio.sleep(min(left, every_s))
        except StreamEndedError as ended:
            return ended.how != "takes no more"
        return False

    def finish(self) -> None:
        """Send FIN and keep listening: half a close."""
        self.transcript.note(self.number, "note", "FIN")
        self._finished = True
        if not self._writer.is_closing() and self._writer.can_write_eof():
            with contextlib.suppress(OSError):  # the service was first: it is finished all the same
                self._writer.write_eof()

    def close(self) -> None:
        """Close without a word of WebSocket. Idempotent."""
        if not self._writer.is_closing():
            self.transcript.note(self.number, "note", "closed TCP")
            self._writer.close()

    def abort(self) -> None:
        """Reset the connection (RST), as a crashed client's machine would. Idempotent."""
        if self._writer.is_closing():
            return
        self.transcript.note(self.number, "note", "RST")
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def released(self, within: float = PATIENCE_S) -> bool:
        """Hang up in order and wait until the service has, too; False if it has not in time.

        True of one that was closed before: what became of it cannot be seen any more.

        Only then does the connection take up no place of its address any more. With TLS it is we
        who close: there is no half a close, and a service answers ours.
        """
        if self._writer.is_closing():
            return True
        if self._writer.can_write_eof():
            self.finish()
            gone = await self.dropped(within)
            self.close()
            return gone
        self.close()
        try:
            async with asyncio.timeout(within):
                await self._wait_closed()
        except TimeoutError:
            self._writer.transport.abort()
            return False
        except OSError:  # it is over, however it ended
            return True
        return True

    async def closed(self) -> None:
        """Drop the connection and wait until the system has let go of it."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError):  # how it ended no longer matters
            await self._wait_closed()

    async def _wait_closed(self) -> None:
        """Wait for the end; whoever gives up waiting leaves others their wait.

        The writer's own wait would be cancelled for everybody, and for good.
        """
        await asyncio.shield(self._writer.wait_closed())


def _judge_peer(raw: socket.socket, endpoint: Endpoint) -> None:
    """Refuse a connection that did not end where the guard allowed it."""
    connected = raw.getpeername()[0]
    if not is_loopback(connected) and not endpoint.allowed:
        raise RefusedError(
            f"probe: connected to {connected}, which is not this machine; nothing was sent. If you"
            " may test that host, pass --i-am-allowed-to-test HOST"
        )
