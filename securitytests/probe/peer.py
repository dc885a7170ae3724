"""A WebSocket client that need not behave: the handshake as ordered, then any frames.

What it hears is told as `Received`; how a connection ended as `Ending`. Judging either is not
done here.
"""

import asyncio
from typing import Literal

import msgspec

from securitytests.probe import http
from securitytests.probe.deflate import COMPRESSED, Inflater
from securitytests.probe.frames import (
    FrameParser,
    Opcode,
    ProtocolViolationError,
    close_payload,
    encode_frame,
)
from securitytests.probe.stream import PATIENCE_S, Stream, StreamEndedError

Kind = Literal["text", "binary", "ping", "pong", "close", "eof", "reset", "violation", "silence"]

#: Kinds after which nothing more can come.
ENDS = frozenset({"close", "eof", "reset", "violation"})

#: What one reception keeps: a service that says more is still drained, and counted.
_KEPT_TEXTS = 2_000
_KEPT_CHARS = 8 * 2**20

#: What a write gets at least, even when the wait it belongs to is over.
_WRITE_S = 0.05

#: Largest assembled message.
_MESSAGE_BYTES = 8 * 2**20


class Received(msgspec.Struct, frozen=True):
    """One thing heard. `code` is set for a close frame that has one.

    `at_s` is when it came (loop time), however late it was listened for.
    """

    kind: Kind
    at_s: float
    text: str = ""
    code: int | None = None


class Ending(msgspec.Struct, frozen=True):
    """How a connection ended, or `kind` "silence": it had not by the deadline.

    `after_s` counts from the call that watched it, 0 for what had come before; `texts` are the
    messages heard meanwhile. `at_s` is when the end came, or the watch was over (loop time).
    """

    kind: Kind
    after_s: float
    code: int | None = None
    reason: str = ""
    texts: tuple[str, ...] = ()
    at_s: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether the connection is over."""
        return self.kind in ENDS

    def since(self, start_s: float) -> "Ending":
        """Return this ending with `after_s` counted from another moment (loop time)."""
        return msgspec.structs.replace(self, after_s=self.at_s - start_s)

    def __str__(self) -> str:
        if self.kind == "close":
            code = "no code" if self.code is None else str(self.code)
            said = f"closed with {code}" + (f" ({self.reason})" if self.reason else "")
        else:
            said = {
                "eof": "ended TCP without a close frame",
                "reset": "reset the connection",
                "violation": f"broke the protocol: {self.reason}",
            }.get(self.kind, "kept the connection open")
        heard = f", after {len(self.texts)} messages" if self.texts else ""
        return f"{said} after {self.after_s:.2f} s{heard}"


class Handshake(msgspec.Struct, frozen=True):
    """The answer to an HTTP request: `response`, or None and `instead` says what happened."""

    response: http.Response | None
    instead: str = ""

    @property
    def upgraded(self) -> bool:
        """Whether the service switched protocols."""
        return self.response is not None and self.response.status == 101

    @property
    def status(self) -> int | None:
        """The HTTP status, or None if there was no answer."""
        return None if self.response is None else self.response.status

    def __str__(self) -> str:
        if self.response is None:
            return self.instead
        return f"HTTP {self.response.status} {self.response.reason}".rstrip()


class Peer:
    """One connection, spoken to as HTTP first and as WebSocket after an upgrade.

    `inflater` reads compressed messages, where that was agreed to. `answers_pings` and
    `answers_close` may be turned off at any time: a peer that answers nothing is how a vanished
    client looks to a service.
    """

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.answers_pings = True
        self.answers_close = True
        self.inflater: Inflater | None = None
        self._buffer = bytearray()
        self._parser = FrameParser()
        self._parts = bytearray()
        self._parts_opcode: int | None = None
        self._compressed = False
        self._ended: Received | None = None

    # HTTP

    async def request(
        self, request: http.Request, within: float = PATIENCE_S, *, body: bool = True
    ) -> Handshake:
        """Send a request and return the answer to it, with its body unless told otherwise."""
        await self.send_request(request)
        return await self.answer(within, body=body)

    async def send_request(self, request: http.Request) -> None:
        """Send a request and wait for nothing; a service that hung up shows at the answer."""
        try:
            await self.stream.send(request.encode(), _request_line(request))
        except StreamEndedError as error:
            self._end("reset", error.how)

    async def answer(self, within: float = PATIENCE_S, *, body: bool = True) -> Handshake:
        """Read one response. Bounded in size and time."""
        deadline = _now() + within
        try:
            response = await self._read_head(deadline)
            if response is not None and response.status != 101 and body:
                response = await self._with_body(response, deadline)
        except StreamEndedError as error:
            return self._told(Handshake(None, error.how))
        except http.MalformedResponseError as error:
            return self._told(Handshake(None, str(error)))
        if response is None:
            return self._told(Handshake(None, "no answer before the end of the connection"))
        if response.status == 101:
            self._parser.feed(bytes(self._buffer))
            self._buffer.clear()
        return self._told(Handshake(response))

    def _told(self, handshake: Handshake) -> Handshake:
        response = handshake.response
        said = str(handshake)
        if response is not None and response.body:
            said += f": {response.body[:160].decode('utf-8', 'replace')}"
        size = 0 if response is None else len(response.body)
        self.stream.transcript.note(self.stream.number, "received", said, size)
        return handshake

    async def _read_head(self, deadline: float) -> http.Response | None:
        while (seam := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > http.MAX_HEAD_BYTES:
                raise http.MalformedResponseError(
                    f"a response head of more than {http.MAX_HEAD_BYTES} bytes"
                )
            data = await self.stream.receive(deadline - _now())
            if data is None:
                raise StreamEndedError("no answer in time")
            if not data:
                return None
            self._buffer += data
        head = bytes(self._buffer[:seam])
        del self._buffer[: seam + 4]
        return http.parse_head(head)

    async def _with_body(self, response: http.Response, deadline: float) -> http.Response:
        wanted = http.body_length(response)
        most = http.MAX_BODY_BYTES if wanted is None else min(wanted, http.MAX_BODY_BYTES)
        chunked = (response.header("Transfer-Encoding") or "").lower() == "chunked"
        while len(self._buffer) < most:
            if chunked and self._buffer.endswith(b"0\r\n\r\n"):
                break
            data = await self.stream.receive(deadline - _now())
            if not data:
                break
            self._buffer += data
        body = bytes(self._buffer[:most])
        self._buffer.clear()
        body = http.dechunk(body) if chunked else body
        return msgspec.structs.replace(response, body=body)

    # WebSocket, out

    async def send_text(self, text: str) -> bool:
        """Send one text message; False if the service has hung up."""
        return await self.send(encode_frame(text.encode("utf-8", "surrogatepass")), f"text {text}")

    async def send_frame(
        self, payload: bytes = b"", opcode: int = Opcode.TEXT, **bits: int
    ) -> bool:
        """Send one frame; `bits` are those of `encode_frame`. False if the service has hung up."""
        frame = encode_frame(payload, opcode, **bits)  # type: ignore[arg-type]
        return await self.send(
            frame, f"frame {opcode} of {len(payload)} bytes {bits or ''}".strip()
        )

    async def send_close(self, code: int | None = 1000, reason: bytes = b"") -> bool:
        """Begin the closing handshake."""
        frame = encode_frame(close_payload(code, reason), Opcode.CLOSE)
        return await self.send(frame, f"close {code}")

    async def send(self, data: bytes, summary: str, within: float = PATIENCE_S) -> bool:
        """Send any bytes; False if the service has hung up, which the next reception tells."""
        try:
            await self.stream.send(data, summary, within)
        except StreamEndedError:
            return False
        return True

    # WebSocket, in

    async def receive(self, within: float) -> Received:
        """Return the next thing heard, or silence after `within` seconds.

        Fragments are put together; protocol pings are answered unless that is turned off. After
        an end, every call returns that end.
        """
        deadline = _now() + within
        while self._ended is None:
            try:
                received = await self._next(deadline)
            except ProtocolViolationError as error:
                return self._end("violation", str(error))
            except StreamEndedError as error:
                return self._end("reset", error.how)
            if received is not None:
                return received
            if _now() > deadline:  # fragments without end are silence, too
                return Received("silence", _now())
        return self._ended

    async def _next(self, deadline: float) -> Received | None:
        frame = self._parser.next_frame()
        if frame is None:
            data = await self.stream.receive(deadline - _now())
            if data is None:
                return Received("silence", _now())
            if not data:
                return self._end("eof")
            self._parser.feed(data)
            frame = self._parser.next_frame()
        if frame is None:
            return None
        if frame.masked:
            raise ProtocolViolationError("a masked frame from a server (RFC 6455 section 5.1)")
        match frame.opcode:
            case Opcode.PING:
                if self.answers_pings:
                    pong = encode_frame(frame.payload, Opcode.PONG)
                    await self.send(pong, "pong", max(deadline - _now(), _WRITE_S))
                return self._heard("ping", frame.payload.decode("latin-1"))
            case Opcode.PONG:
                return self._heard("pong", frame.payload.decode("latin-1"))
            case Opcode.CLOSE:
                return await self._close_heard(frame.payload)
            case Opcode.TEXT | Opcode.BINARY | Opcode.CONTINUATION:
                if frame.opcode != Opcode.CONTINUATION:
                    self._compressed = bool(frame.rsv & COMPRESSED)
                return self._assemble(frame.opcode, frame.payload, fin=frame.fin)
        raise ProtocolViolationError(f"a frame of unknown opcode {frame.opcode}")

    def _assemble(self, opcode: int, payload: bytes, *, fin: bool) -> Received | None:
        if (opcode == Opcode.CONTINUATION) is (self._parts_opcode is None):
            raise ProtocolViolationError("fragments out of order (RFC 6455 section 5.4)")
        if len(self._parts) + len(payload) > _MESSAGE_BYTES:
            raise ProtocolViolationError(f"a message of more than {_MESSAGE_BYTES} bytes")
        self._parts_opcode = self._parts_opcode if opcode == Opcode.CONTINUATION else opcode
        self._parts += payload
        if not fin:
            return None
        whole, whole_opcode = bytes(self._parts), self._parts_opcode
        self._parts.clear()
        self._parts_opcode = None
        if self._compressed and self.inflater is not None:
            whole = self.inflater.message(whole, _MESSAGE_BYTES)
        if whole_opcode == Opcode.BINARY:
            return self._heard("binary", whole.decode("latin-1"))
        try:
            return self._heard("text", whole.decode())
        except UnicodeDecodeError:
            raise ProtocolViolationError("a text message that is not UTF-8") from None

    async def _close_heard(self, payload: bytes) -> Received:
        code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else None
        reason = payload[2:].decode("utf-8", "replace")
        self._heard("close", f"{code} {reason}".rstrip())
        self._ended = Received("close", self.stream.received_at, reason, code)
        if self.answers_close:
            await self.send(encode_frame(payload, Opcode.CLOSE), "close, in answer")
        return self._ended

    def _heard(self, kind: Kind, text: str) -> Received:
        self.stream.transcript.note(self.stream.number, "received", f"{kind} {text}", len(text))
        return Received(kind, self.stream.received_at, text)

    def _end(self, kind: Kind, text: str = "") -> Received:
        if self._ended is None:
            self._heard(kind, text)
            self._ended = Received(kind, self.stream.received_at, text)
        return self._ended

    async def until_text(self, mark: str, within: float) -> Received:
        """Return the first text message with `mark` in it; or the end, or silence."""
        deadline = _now() + within
        while True:
            received = await self.receive(deadline - _now())
            if received.kind == "text" and mark in received.text:
                return received
            if received.kind in ENDS or received.kind == "silence":
                return received
            if _now() > deadline:
                return Received("silence", _now())

    async def until_end(self, within: float, *, stop_at: str | None = None) -> Ending:
        """Listen until the connection ends, `within` passes, or a message has `stop_at` in it."""
        started = _now()
        texts: list[str] = []
        kept = 0
        while True:
            received = await self.receive(started + within - _now())
            now = _now()
            after = now - started
            if received.kind in ENDS:
                return Ending(
                    received.kind,
                    max(received.at_s - started, 0.0),
                    received.code,
                    received.text,
                    tuple(texts),
                    received.at_s,
                )
            if received.kind == "silence":
                return Ending("silence", after, texts=tuple(texts), at_s=now)
            if received.kind == "text" and len(texts) < _KEPT_TEXTS and kept < _KEPT_CHARS:
                texts.append(received.text)
                kept += len(received.text)
            if stop_at is not None and received.kind == "text" and stop_at in received.text:
                return Ending("silence", after, texts=tuple(texts), at_s=now)
            if after >= within:  # one that never falls silent
                return Ending("silence", after, texts=tuple(texts), at_s=now)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _request_line(request: http.Request) -> str:
    line = f"{request.method} {request.target} {request.version}"
    unusual = [
        f"{name}: {value}"
        for name, value in request.headers
        if name.lower() not in {"host", "upgrade", "connection", "sec-websocket-key"}
    ]
    return "; ".join([line[:300], *(header[:200] for header in unusual[:8])])
