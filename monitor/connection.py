"""One TCP connection: answers pages, carries out what the session decides, and ends in time.

The bytes themselves go through the `Channel` it is made of. Not a task: the event loop calls it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol, cast

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State

from monitor import handshake, wire
from monitor.admission import Admission, Refusal
from monitor.assembly import Assembly, TooManyFragmentsError
from monitor.channel import Channel, ControlFloodError
from monitor.effects import Abort, Close, Effect, ProtocolPing, Send, Silence, Store, Stream
from monitor.eventlog import Filter
from monitor.gate import Pass
from monitor.limits import ControlFrames
from monitor.pages import Answer
from monitor.session import Rules, Session
from monitor.settings import Settings
from monitor.tokens import Grant
from monitor.wire import CloseCode

log = logging.getLogger("monitor.connection")

#: Largest message before authentication: an `auth` with the largest token fits.
_UNAUTHENTICATED_BYTES = 10_240

#: Unsent bytes above which the transport asks for a pause: small, so that a stalled reader
#: costs little and is noticed early.
WRITE_BUFFER_BYTES = 64 * 1024


class Host(Rules, Protocol):
    """What a connection asks of the server it belongs to."""

    settings: Settings
    origins: handshake.Origins

    def now(self) -> float:
        """Return monotonic seconds."""

    def answered(self, answer: Answer) -> None:
        """Count an HTTP answer."""

    def broke(self) -> None:
        """Count a breach of the WebSocket protocol."""

    def enter(self, connection: "Connection", peer: str) -> Refusal | None:
        """Take a slot for a new connection, or return how it is refused."""

    def identify(self, connection: "Connection", request: Request | None) -> Refusal | None:
        """Settle who the client is, now that headers are known (None: they are unreadable)."""

    def leave(self, connection: "Connection") -> None:
        """Take back all the connection holds. Called once for each `enter`."""

    def ask(
        self, connection: "Connection", asked: handshake.Asked, refusal: Refusal | None
    ) -> Answer | Admission:
        """Decide on a readable request, `refusal` or not: a page, a refusal, or a session."""

    def watch(self, connection: "Connection", deadline: float) -> None:
        """Call `check` at the deadline (monotonic seconds) or a little later."""

    def stream(self, connection: "Connection", stream: Stream) -> None:
        """Subscribe the connection, and write what comes before the live events."""

    def silence(self, connection: "Connection") -> None:
        """Unsubscribe the connection."""

    def closing(self, connection: "Connection", close: Close) -> None:
        """Note that the server ends the connection: no more deliveries, one line in the log."""

    def store(self, connection: "Connection", store: Store) -> None:
        """Queue events for the next commit."""

    def pause(self, connection: "Connection") -> None:
        """Note that the connection cannot be written to."""

    def resume(self, connection: "Connection") -> None:
        """Note that the connection can be written to again."""


class Connection(Channel):
    """One client. `entered` is what it holds at the gate; `peer` the connected address."""

    __slots__ = (
        "_abandon",
        "_assembly",
        "_deadline",
        "_grant",
        "_host",
        "_lost",
        "_refusal",
        "cursor",
        "entered",
        "filter",
        "peer",
        "stalled",
        "whole_to",
    )

    def __init__(self, host: Host) -> None:
        settings = host.settings
        super().__init__(
            ControlFrames(settings.control_frames_per_window, settings.window_s),
            host.now,
            max_bytes=_UNAUTHENTICATED_BYTES,
            compression=settings.compression,
        )
        self.peer = ""
        self.entered: Pass
        self.cursor = 0
        self.filter: Filter | None = None
        self.stalled = False
        self.whole_to = 0
        self._host = host
        self._grant: Grant | None = None  # the one size and deadline were last set for
        self._assembly = Assembly(settings.max_fragments)
        self._refusal: Refusal | None = None
        self._deadline = 0.0
        self._abandon: Callable[[], object] | None = None  # while TLS is being negotiated
        self._lost = False

    # Transport side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a slot, unless that was done when the connection was accepted."""
        self.transport = transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        if self._abandon is not None:
            self._abandon = None
            return
        # A peer that is gone already has no name; it is let go at once.
        peername = transport.get_extra_info("peername")
        self._enter(peername[0] if peername else "0.0.0.0")
        if not peername:
            transport.abort()

    def accepted(self, peer: str, abandon: Callable[[], object]) -> None:
        """Take a slot before there is a transport; until then `abandon` drops the connection."""
        self._abandon = abandon
        self._enter(peer)

    def _enter(self, peer: str) -> None:
        """Take a slot; a connection above the limit is answered once its request is there."""
        self.peer = peer
        self._refusal = self._host.enter(self, self.peer)
        settings = self._host.settings
        wait = settings.close_timeout_s if self._refusal else settings.handshake_timeout_s
        self._deadline = self._host.now() + wait
        self._host.watch(self, self._deadline)

    def drop(self) -> None:
        """Drop the connection without further words."""
        if self._abandon is None:
            self.transport.abort()
        else:
            self._abandon()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give everything back. Idempotent."""
        if self._lost:
            return
        self._ended = self._lost = True
        self._host.leave(self)
        if isinstance(exc, OSError):
            log.debug("connection lost: %s: %s", self.entered.key, exc.strerror)

    def _take(self, events: Iterable[object]) -> None:
        """Handle what was parsed, then say what the protocol has to say.

        Messages wait while the answer to an earlier one is not written, or not read: else a peer
        that asks much and reads nothing would have all of the answers kept for it.
        """
        protocol = self._protocol
        for event in events:
            if self._ended:
                return
            if isinstance(event, Request):
                self._requested(event)
            elif isinstance(event, Frame):
                if event.opcode is Opcode.PONG or self._hears():
                    self._received(event)
                elif self._waiting is None:
                    self._waiting = [event]
                    self.transport.pause_reading()
                else:
                    self._waiting.append(event)
        if self._ended:
            return
        if self.session is None and protocol.handshake_exc is not None:
            refusal = self._host.identify(self, None) or self._refusal
            unreadable = handshake.unreadable(protocol.handshake_exc, self._start)
            self._answer(unreadable if refusal is None else refusal.answer)
            return
        if isinstance(protocol.parser_exc, ControlFloodError):
            self.end(CloseCode.LIMITED, "too many pings")  # as the protocol has told the peer
        elif protocol.parser_exc is not None:
            self._host.broke()
            log.debug("protocol error of %s: %s", self.entered.key, protocol.parser_exc)
        self._write_pending()
        if self.session is not None and self.session.grant is not self._grant:
            self._regranted(self.session)

    def pause_writing(self) -> None:
        """Stop reading from a peer that does not read, and leave it behind in the log."""
        self.writable = False
        self.transport.pause_reading()
        self._host.pause(self)

    def resume_writing(self) -> None:
        """Go on where it was left."""
        self.writable = True
        if self.session is not None:
            self.session.resumed(self._host.now())
        self._host.resume(self)
        asyncio.get_running_loop().call_soon(self._go_on)

    # Fan-out side

    @property
    def expires_at(self) -> float:
        """Monotonic time after which nothing may be delivered."""
        return self.session.expires_at if self.session is not None else 0.0

    def deliver(self, frames: bytes, now: float) -> None:
        """Write whole frames, if the session is open."""
        session = self.session
        if session is not None and session.closing_since is None:
            session.delivering(now, drained=self._drained())
            self._write(frames)

    def begun(self) -> None:
        """Go on hearing messages: the phase states have been written, and the fence."""
        asyncio.get_running_loop().call_soon(self._go_on)

    def expire(self, now: float) -> None:
        """Close: the token has expired."""
        if self.session is not None:
            self.carry_out(self.session.due(now, drained=False))

    def reply(self, frames: bytes) -> None:
        """Write whole frames, unless the session is closing."""
        if self.session is not None and self.session.closing_since is None:
            self._write(frames)

    # Session side

    def carry_out(self, effects: Iterable[Effect]) -> None:
        """Do what the session decided, in order."""
        for effect in effects:
            match effect:
                case Store():
                    self._host.store(self, effect)
                case Send():
                    self._write(wire.text_frame(effect.payload))
                case Stream():
                    self._host.stream(self, effect)
                case Silence():
                    self._host.silence(self)
                case ProtocolPing():
                    self._protocol.send_ping(b"")
                    self._write_pending()
                case Close():
                    self._close(effect)
                    self._write_pending()
                case Abort():
                    self.transport.abort()

    def check(self, now: float) -> None:
        """Carry out deadlines that have passed, and ask to be called at the next."""
        session = self.session
        if session is None:
            if now >= self._deadline:
                self.drop()
            else:
                self._host.watch(self, self._deadline)
            return
        self.carry_out(session.due(now, drained=self._drained()))
        if not self.transport.is_closing():
            self._host.watch(self, session.next_deadline())

    def end(self, code: CloseCode, reason: str, farewell: bytes | None = None) -> None:
        """Close for a reason of the server's; `farewell` is a message sent before."""
        if self.session is None:
            self.drop()
            return
        effects = self.session.close(code, reason, self._host.now())
        if effects and farewell is not None:
            effects.insert(0, Send(farewell))
        self.carry_out(effects)

    # Parts

    def _drained(self) -> bool:
        """Tell whether the kernel has taken everything written."""
        return self.transport.get_write_buffer_size() == 0

    def _requested(self, request: Request) -> None:
        """Answer an HTTP request: with a page, a refusal, or a session."""
        refusal = self._host.identify(self, request) or self._refusal
        asked = handshake.read(request, self._host.origins)
        if isinstance(asked, Answer):
            decided: Answer | Admission = asked if refusal is None else refusal.answer
        else:
            decided = self._host.ask(self, asked, refusal)
        if isinstance(decided, Admission):
            response = self._protocol.accept(request)
            if response.status_code == 101:
                self._protocol.send_response(response)
                self._begin(decided)
                return
            decided = handshake.refused_upgrade(response.status_code, request)
        self._answer(decided)

    def _begin(self, admission: Admission) -> None:
        """Open the session the server has decided on."""
        self._write_pending()
        self.session = admission.session
        self.carry_out(admission.effects)
        self._host.watch(self, self.session.next_deadline())

    def _answer(self, answer: Answer) -> None:
        """Write an HTTP answer and end; the library's own wording is not used."""
        self._host.answered(answer)
        self._protocol.data_to_send()
        self._write(answer.encode())
        self._end()

    def _received(self, frame: Frame) -> None:
        session = self.session
        if session is None:
            return
        opcode = frame.opcode
        if opcode is Opcode.TEXT or opcode is Opcode.CONT:
            self._assemble(frame, session)
        elif opcode is Opcode.PONG:
            session.pong()
            self._host.watch(self, session.next_deadline())  # the next ping may come earlier
        elif opcode is Opcode.BINARY:
            self.end(CloseCode.BAD_MESSAGE, "text messages are spoken here")
        # Ping and close: the protocol has put the answer among its writes.

    def _assemble(self, frame: Frame, session: Session) -> None:
        """Hand a whole text message to the session."""
        try:
            text = self._assembly.add(frame.data, final=frame.fin)
        except TooManyFragmentsError:
            self.end(CloseCode.BAD_MESSAGE, "too many fragments")
            self._protocol.fail(CloseCode.BAD_MESSAGE)  # nothing is said any more, nor heard
            self._write_pending()
            return
        except UnicodeDecodeError:
            self._protocol.fail(CloseCode.INVALID_DATA, "not UTF-8")  # RFC 6455 section 8.1
            return
        if text is None:
            return
        self.carry_out(session.receive(text, self._host.now()))

    def _regranted(self, session: Session) -> None:
        """Let an authenticated client send messages of full size, until its token expires."""
        self._grant = session.grant
        self._protocol.max_message_size = self._host.settings.max_message_bytes
        self._host.watch(self, session.next_deadline())

    def _close(self, close: Close) -> None:
        """Begin the closing handshake; the peer has until the close deadline to finish it."""
        self._host.closing(self, close)
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(close.code, close.reason)
        if self._waiting is not None:  # the peer's own end comes behind
            self.beginning = None
            asyncio.get_running_loop().call_soon(self._go_on)
        if self.session is not None:
            self._host.watch(self, self.session.next_deadline())

    def _end(self) -> None:
        """Send what is buffered and half-close; drop the peer if it does not end in time.

        Half-closed rather than closed, because unread bytes would make the kernel reset the
        connection and the peer might lose our last words.
        """
        if self._ended:
            return
        self._ended = True
        self._host.silence(self)
        now = self._host.now()
        self._deadline = now + self._host.settings.close_timeout_s
        if self.session is not None:
            self.session.closing_since = self.session.closing_since or now
        self._host.watch(self, self._deadline)
        if self.transport.is_closing():
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()
