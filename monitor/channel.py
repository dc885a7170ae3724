"""Bytes in and out of one connection, around the sans-I/O WebSocket protocol.

An `asyncio.Protocol`: it parses what comes and hands it on, and lets it wait while the peer does
not read what it is told. What it all means is decided elsewhere.
"""

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable

from websockets.exceptions import ProtocolError
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from monitor.fanout import Beginning
from monitor.limits import ControlFrames
from monitor.session import Session
from monitor.wire import CloseCode

#: Bytes parsed at a time: what many small frames in them take up while they wait is bounded.
_PARSED_BYTES = 8 * 1024

#: What a peer may still say after our close frame before its own: then nothing is parsed any more.
_OVERTIME_BYTES = 8 * 1024

_HEAD_END = b"\r\n\r\n"

#: The longest method name and the space after it.
_METHOD_BYTES = 8

#: The library logs each frame at debug; ours is one line a fault.
_protocol_log = logging.getLogger("monitor.protocol")
_protocol_log.setLevel(logging.CRITICAL)

# Inbound only: 2¹² bytes of window, nothing kept between messages.
_DEFLATE = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True,
    client_no_context_takeover=True,
    server_max_window_bits=12,
    client_max_window_bits=12,
)


class ControlFloodError(ProtocolError):
    """A peer sent more pings and pongs than it may."""


class _Frames(ServerProtocol):
    """The protocol of the library, which answers any number of pings, with a bound on them.

    Counted as they are parsed: whoever sends too many has none of the rest looked at. The answer
    to our own ping is free. `recv_frame` is where the library's parser hands on each frame, and no
    public part of it; a flood that is not cut off any more fails tests/monitor/test_control_frames.
    """

    def __init__(
        self,
        control: ControlFrames,
        clock: Callable[[], float],
        *,
        max_bytes: int,
        compression: bool,
    ) -> None:
        super().__init__(
            extensions=[_DEFLATE] if compression else None,
            max_size=max_bytes,
            logger=_protocol_log,
        )
        self._control = control
        self._clock = clock
        self._asked = False  # a ping of ours has not been answered

    def send_ping(self, data: bytes | bytearray | memoryview) -> None:
        """Ask for a pong, which is then not counted."""
        super().send_ping(data)
        self._asked = True

    def recv_frame(self, frame: Frame) -> None:
        """Take a frame; fail the connection (RFC 6455 section 7.1.7) at a control frame too many.

        Raises:
            ControlFloodError: it is failed, and the library's parser is to stop.
        """
        if self._one_too_many(frame):
            self.fail(CloseCode.LIMITED, "too many pings")
            raise ControlFloodError("too many control frames")
        super().recv_frame(frame)

    def _one_too_many(self, frame: Frame) -> bool:
        if frame.opcode is Opcode.PONG and self._asked:
            self._asked = False
            return False
        control = frame.opcode is Opcode.PING or frame.opcode is Opcode.PONG
        return control and not self._control.take(self._clock())


class Channel(asyncio.Protocol):
    """The bytes of one client.

    Args:
        control: how many control frames are heard.
        clock: tells monotonic seconds.
        max_bytes: largest message, for a start.
        compression: negotiate inbound compression.

    Attributes:
        session: None until a handshake was accepted.
        beginning: how far the phase states have been sent; messages wait for that.
        writable: False while the peer does not read.
    """

    __slots__ = (
        "_ended",
        "_overtime_bytes",
        "_protocol",
        "_start",
        "_tail",
        "_unparsed",
        "_waiting",
        "beginning",
        "session",
        "transport",
        "writable",
    )

    def __init__(
        self,
        control: ControlFrames,
        clock: Callable[[], float],
        *,
        max_bytes: int,
        compression: bool,
    ) -> None:
        self.session: Session | None = None
        self.beginning: Beginning | None = None
        self.writable = True
        self.transport: asyncio.Transport
        self._tail = b""  # of what came: the end of the head may be split
        self._start = b""  # of what came: tells which method an unreadable request had
        self._waiting: list[Frame] | None = None  # what came while nothing was heard
        self._unparsed = b""  # and what came behind that
        self._ended = False  # nothing is written or read any more, but for the peer's own end
        self._overtime_bytes = 0
        self._protocol = _Frames(control, clock, max_bytes=max_bytes, compression=compression)

    @abstractmethod
    def _take(self, events: Iterable[object]) -> None:
        """Handle what was parsed, as long as it is heard; then write what is pending."""

    @abstractmethod
    def _end(self) -> None:
        """Send what is buffered and end. Idempotent."""

    def data_received(self, data: bytes) -> None:
        """Feed the protocol; handle each request or frame it yields."""
        if self._ended:
            return  # the peer has been told to end; what it still sends is of no interest
        if self.session is None:
            self._request(data)
        else:
            self._receive(data)

    def _request(self, data: bytes) -> None:
        """Feed the head of the request; what comes behind it waits for our answer."""
        if len(self._start) < _METHOD_BYTES:
            self._start += data[:_METHOD_BYTES]
        seam = (self._tail + data).find(_HEAD_END)
        if seam < 0:
            self._tail = (self._tail + data)[-len(_HEAD_END) + 1 :]
            self._receive(data)
            return
        behind = seam + len(_HEAD_END) - len(self._tail)
        self._receive(data[:behind])
        if data[behind:] and self.session is not None and not self._ended:
            self._receive(data[behind:])

    def _receive(self, data: bytes) -> None:
        """Parse and handle so much at a time as can wait, should a reply not be read."""
        for start in range(0, len(data), _PARSED_BYTES):
            if self._waiting is not None:
                self._unparsed += data[start:]
                return
            if self._ended:
                return
            self._parse(data[start : start + _PARSED_BYTES])

    def _parse(self, data: bytes) -> None:
        if self._protocol.state is State.CLOSING:
            self._overtime_bytes += len(data)
            if self._overtime_bytes > _OVERTIME_BYTES:
                # TLS knows no half-close, and to close now would make the peer lose our last words:
                # there the close deadline ends it.
                if self.transport.can_write_eof():
                    self._protocol.fail(CloseCode.LIMITED)  # not said: a close has been sent
                    self._write_pending()
                return
        self._protocol.receive_data(data)
        self._take(self._protocol.events_received())

    def _hears(self) -> bool:
        """Tell whether the next message may be handled now."""
        return self.writable and self.beginning is None and self._waiting is None

    def _go_on(self) -> None:
        """Handle what has been waiting, and read again."""
        if self._ended or not self.writable or self.beginning is not None:
            return
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._take(waiting)
        unparsed, self._unparsed = self._unparsed, b""
        self._receive(unparsed)
        if self._hears() and not self.transport.is_closing():
            self.transport.resume_reading()

    def _write(self, data: bytes) -> None:
        if not (self._ended or self.transport.is_closing()):
            self.transport.write(data)

    def _write_pending(self) -> None:
        """Write what the protocol has to say; end where it ends the stream."""
        for data in self._protocol.data_to_send():
            if data:
                self._write(data)
            else:
                self._end()
