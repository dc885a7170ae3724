"""One WebSocket client without I/O: handshake, authentication, subscription, then events.

The handshake and control frames are the work of `websockets`' sans-I/O protocol; data frames
take the lean path of `frames.Walker`. The owner moves bytes: it sends what `outgoing` holds and
feeds what it reads.
"""

import http
import re
from enum import Enum, auto
from typing import NamedTuple

from websockets.client import ClientProtocol
from websockets.exceptions import WebSocketException
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import Protocol, Side, State
from websockets.uri import parse_uri

from loadtests.connections.frames import Walker
from loadtests.connections.tls import Tls
from monitor.contract.target import Credentials, Target, fill

_MAX_HEAD_BYTES = 65_536


class Stage(Enum):
    """How far a connection has come."""

    HANDSHAKE = auto()
    AUTHENTICATION = auto()
    SUBSCRIPTION = auto()
    RESUMPTION = auto()
    READY = auto()
    CLOSED = auto()


class Position(NamedTuple):
    """Where a subscriber stood: what a service that can resume wants to know."""

    epoch: str
    offset: str


class Connection:
    """What a client says and hears, as bytes.

    With `resumes` it asks for what came after that position, and hears events from the answer on;
    with `tracks` it remembers its own. Over TLS, `opened` deciphers what was read.

    `answer` is the target's word at the end of the road: an HTTP status, a close code or what
    the client saw; "101" while the connection holds.
    """

    def __init__(
        self,
        target: Target,
        credentials: Credentials,
        mark: bytes,
        *,
        subscribes: bool,
        tls: Tls | None = None,
        tracks: bool = False,
        resumes: Position | None = None,
    ) -> None:
        self.stage = Stage.HANDSHAKE
        self.walker = Walker(mark, keeps_last=tracks)
        self.secure = tls is not None
        #: Asked to resume, the service said that nothing is missing.
        self.recovered = False
        self.outgoing = bytearray()
        self.answer = ""
        #: Control frames met so far.
        self.controls = 0
        self._target = target
        self._credentials = credentials
        self._subscribes = subscribes
        self._tls = tls
        self._resumes = resumes
        self._subscribed = b""
        self._head = bytearray()
        #: For the handshake only: what it remembers of one weighs 2 KB a client.
        self._protocol: ClientProtocol | None = None
        self._begin()

    def receive(self, data: bytes) -> list[int]:
        """Take bytes from the peer; return the event numbers they completed."""
        if self.stage is Stage.CLOSED:
            return []
        if self.stage is Stage.HANDSHAKE:
            data = self._handshake(data)
        numbers = self.walker.feed(data) if data else []
        if self.walker.controls:
            self._control()
        if self.stage in _UNDER_WAY:
            self._progress()
        if self.walker.fences:
            numbers = []  # before the answer to a resumption: what is owed comes after it
        if self.walker.fault is not None:
            self._closed(self.walker.fault)
        return numbers

    def opened(self, data: bytes) -> bytes:
        """Return what was read in the clear; without TLS it is that already."""
        if self._tls is None:
            return data
        plain = self._tls.read(data)
        self.outgoing += self._tls.outgoing()
        if self._tls.fault:
            self._closed(self._tls.fault)
        return plain

    def sealed(self, data: bytes) -> bytes:
        """Return what is to be sent as it goes over the wire; sealed once, it must go out."""
        if self._tls is None:
            return data
        self._tls.write(data)
        return self._tls.outgoing()

    @property
    def position(self) -> Position | None:
        """Where this subscriber stands, if the service can resume and said where that is."""
        resume = self._target.resume
        if resume is None:
            return None
        epoch = _field(self._subscribed, resume.epoch_field) if resume.epoch_field else ""
        offset = _field(self.walker.last or self._subscribed, resume.offset_field)
        return None if epoch is None or offset is None else Position(epoch, offset)

    def lost(self, reason: str) -> None:
        """The transport ended; `reason` says how, if the peer has not said."""
        if self.stage is Stage.HANDSHAKE and self._head:
            reason = _status(bytes(self._head))
        self._closed(reason)

    def leave(self) -> None:
        """Close the connection properly: 1000, going by our own will."""
        if self.stage not in {Stage.HANDSHAKE, Stage.CLOSED}:
            self._send(Frame(Opcode.CLOSE, Close(1000, "").serialize()).serialize(mask=True))

    def text_frame(self, payload: bytes) -> bytes:
        """Return one masked text message as it goes over the wire."""
        return Frame(Opcode.TEXT, payload).serialize(mask=True)

    def _begin(self) -> None:
        self._protocol = ClientProtocol(parse_uri(self._credentials.url), max_size=None)
        request = self._protocol.connect()
        for name, value in self._credentials.headers.items():
            request.headers[name] = value
        self._protocol.send_request(request)
        self._send(b"".join(self._protocol.data_to_send()))

    def _handshake(self, data: bytes) -> bytes:
        """Feed the response's head to the protocol; return what came after it."""
        self._head += data
        head, separator, rest = bytes(self._head).partition(b"\r\n\r\n")
        if not separator:
            if len(self._head) > _MAX_HEAD_BYTES:
                self._closed("a response head without end")
            return b""
        if not head.startswith(b"HTTP/1.1 101"):
            self._closed(_status(head))
            return b""
        assert self._protocol is not None  # noqa: S101 - there until the handshake is over
        self._protocol.receive_data(head + separator)
        self._protocol.events_received()
        if self._protocol.state is not State.OPEN:
            self._closed(f"a handshake that is none: {self._protocol.handshake_exc}")
            return b""
        self._protocol, self._head = None, bytearray()
        self.answer = "101"
        self._enter_authentication()
        return rest

    def _enter_authentication(self) -> None:
        if self._credentials.message is not None:
            self._say(self._credentials.message)
        self.stage = Stage.AUTHENTICATION
        if self._target.authentication.accepted is None:
            self._enter_subscription()

    def _enter_subscription(self) -> None:
        if not self._subscribes:
            self.stage = Stage.READY
            return
        asked = self._target.subscribe.message is not None
        if self._resumes is not None and (asked or self._target.subscribe.accepted is None):
            self._enter_resumption(self._resumes)
            return
        if self._target.subscribe.message is not None:
            self._say(self._target.subscribe.message)
        accepted = self._target.subscribe.accepted
        self.stage = Stage.READY if accepted is None else Stage.SUBSCRIPTION

    def _enter_resumption(self, position: Position) -> None:
        """Ask for everything after a position; events count from the answer on."""
        resume = self._target.resume
        assert resume is not None  # noqa: S101 - a position comes from a profile that resumes
        self._say(fill(resume.message, {"epoch": position.epoch, "offset": position.offset}))
        self.walker.fences = tuple(
            mark.encode() for mark in (resume.recovered, resume.lost) if mark is not None
        )
        self.stage = Stage.RESUMPTION

    def _progress(self) -> None:
        """Look for the marks of acceptance in what was said so far."""
        said = self.walker.others
        self.walker.others = []
        while said and self.stage in _UNDER_WAY:
            text = said.pop(0).text
            if self.stage is Stage.AUTHENTICATION:
                if _mark(self._target.authentication.accepted) in text:
                    self._enter_subscription()
                else:
                    self.answer = text[:200].decode("utf-8", "replace")
            elif self.stage is Stage.RESUMPTION:
                self._answered(text)
            elif _mark(self._target.subscribe.accepted) in text:
                self._subscribed = text
                if self._resumes is None:
                    self.stage = Stage.READY
                else:
                    self._enter_resumption(self._resumes)
        self.walker.others = said

    def _answered(self, text: bytes) -> None:
        """See whether this is the answer to a resumption, and what it says."""
        resume = self._target.resume
        assert resume is not None  # noqa: S101 - as in `_enter_resumption`
        self.recovered = _mark(resume.recovered) in text
        if self.recovered or (resume.lost is not None and _mark(resume.lost) in text):
            self._subscribed = text
            self.stage = Stage.READY

    def _control(self) -> None:
        """Hand control frames to a protocol, which answers pings and closes.

        They are rare, so it is made when they come and not kept.
        """
        controls, self.walker.controls = self.walker.controls, []
        self.controls += len(controls)
        protocol = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)
        for opcode, payload in controls:
            if opcode == Opcode.CLOSE:
                self._closed(_close_code(payload))
            try:
                # The sans-I/O parser reads the wire; a control frame is its two bytes and payload.
                protocol.receive_data(bytes((0x80 | opcode, len(payload))) + payload)
                protocol.events_received()
            except WebSocketException as error:
                self._closed(str(error))
        self._send(b"".join(protocol.data_to_send()))

    def _say(self, text: str) -> None:
        self._send(self.text_frame(text.encode()))

    def _send(self, data: bytes) -> None:
        if data:
            self.outgoing += self.sealed(data)
        if self._tls is not None:
            self.outgoing += self._tls.outgoing()

    def _closed(self, answer: str) -> None:
        if self.stage is Stage.CLOSED:
            return
        if self.stage is not Stage.READY and self.answer not in {"", "101"}:
            answer = f"{answer}: {self.answer}"  # an error message before the close says more
        self.stage = Stage.CLOSED
        self.answer = answer


#: Stages in which the service's messages decide what comes next.
_UNDER_WAY = frozenset({Stage.AUTHENTICATION, Stage.SUBSCRIPTION, Stage.RESUMPTION})


def _field(text: bytes, name: str) -> str | None:
    """Return the last value a JSON text has under a name, as text."""
    found = re.findall(rb'"' + re.escape(name.encode()) + rb'"\s*:\s*"?([^",}\]]+)', text)
    return found[-1].decode("utf-8", "replace") if found else None


def _mark(text: str | None) -> bytes:
    return (text or "").encode()


def _status(head: bytes) -> str:
    """Return the status of a response that is no upgrade: "429 Too Many Requests"."""
    fields = head.split(b"\r\n", 1)[0].split(b" ")
    if len(fields) < 2 or not fields[1].isdigit():
        return "an answer that is not HTTP"
    code = int(fields[1])
    return f"{code} {http.HTTPStatus(code).phrase}" if code in set(http.HTTPStatus) else str(code)


def _close_code(payload: bytes) -> str:
    if not payload:
        return "closed without a code"
    try:
        close = Close.parse(payload)
    except (WebSocketException, UnicodeDecodeError) as error:
        return f"closed with a malformed reason: {error}"
    return f"{close.code} {close.reason}".rstrip()
