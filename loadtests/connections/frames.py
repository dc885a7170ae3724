"""Walks server-to-client WebSocket frames and finds the numbers of our events in them.

The lean half of the load client: headers are walked, payloads are searched, nothing is decoded.
It never answers anything; control frames and messages of other kinds are handed to the caller.
RFC 6455 section 5 gives the layout.
"""

import struct
from typing import NamedTuple

#: No message of a broadcast service comes near this; a longer length is a broken or hostile peer.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024

#: Digits of an event number in its identifier: fixed, so that finding it needs no parsing.
NUMBER_DIGITS = 9

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


def marker(run: str) -> bytes:
    """Return the bytes that stand before an event's number in its identifier."""
    return f"wsp-{run}-".encode()


def identifier(run: str, number: int) -> str:
    """Return the identifier of event `number` of `run`."""
    return f"wsp-{run}-{number:0{NUMBER_DIGITS}d}"


class Other(NamedTuple):
    """A whole message without an event of ours, `behind` so many events of its chunk."""

    text: bytes
    behind: int


class Walker:
    """Follows one peer's byte stream, whatever its chunk boundaries.

    `feed` returns the event numbers completed by a chunk, in order. `others` collects whole
    messages without an event of ours, `controls` control frames as (opcode, payload); the caller
    empties both. With `keeps_last`, `last` is the newest message with an event of ours. The first
    message with one of `fences` in it takes back the numbers before it. After a breach of the
    protocol, `fault` says which and nothing more is read.
    """

    __slots__ = (
        "_fragments",
        "_held",
        "_held_bytes",
        "_mark",
        "_need",
        "controls",
        "fault",
        "fences",
        "keeps_last",
        "last",
        "others",
    )

    def __init__(self, mark: bytes, *, keeps_last: bool = False) -> None:
        self._mark = mark
        self.keeps_last = keeps_last
        self.last = b""
        self.fences: tuple[bytes, ...] = ()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._need = 0
        self._fragments: list[bytes] | None = None
        self.others: list[Other] = []
        self.controls: list[tuple[int, bytes]] = []
        self.fault: str | None = None

    @property
    def between_messages(self) -> bool:
        """True if what was fed so far ends exactly with a message."""
        return not self._held and self._fragments is None and self.fault is None

    def feed(self, chunk: bytes) -> list[int]:
        """Take the next bytes of the stream; return the event numbers they completed."""
        numbers: list[int] = []
        if self.fault is not None:
            return numbers
        if self._held:
            self._held.append(chunk)
            self._held_bytes += len(chunk)
            if self._held_bytes < self._need:
                return numbers
            chunk = b"".join(self._held)
            self._held = []
        at, end = 0, len(chunk)
        while end - at >= 2:
            length = chunk[at + 1]
            body = at + 2
            if length > 125:
                body, length = self._long_length(chunk, body, length)
                if self.fault is not None:
                    return numbers
            stop = body + length
            if stop > end:
                return self._hold(chunk[at:], stop - at, numbers)
            if chunk[at] == 0x81 and self._fragments is None:
                self._search(chunk, body, stop, numbers)
            else:
                self._take(chunk[at], chunk[body:stop], numbers)
                if self.fault is not None:
                    return numbers
            at = stop
        return self._hold(chunk[at:], 2, numbers) if at < end else numbers

    def _hold(self, rest: bytes, need: int, numbers: list[int]) -> list[int]:
        self._held = [rest]
        self._held_bytes = len(rest)
        self._need = need
        return numbers

    def _long_length(self, chunk: bytes, body: int, length: int) -> tuple[int, int]:
        """Return where the payload starts and how long it is; past the end if unknown yet."""
        if length >= 128:
            self.fault = "a masked frame from the server (RFC 6455 section 5.1)"
            return body, 0
        width, layout = (2, ">H") if length == 126 else (8, ">Q")
        if len(chunk) < body + width:
            return body + width, 0
        length = struct.unpack_from(layout, chunk, body)[0]
        if length > MAX_MESSAGE_BYTES:
            self.fault = f"a frame of {length} bytes; more than {MAX_MESSAGE_BYTES} are not read"
        return body + width, length

    def _search(self, data: bytes, at: int, stop: int, numbers: list[int]) -> None:
        """Append the number of every event of ours in one message's payload."""
        mark = self._mark
        found = data.find(mark, at, stop)
        if found < 0:
            text = data[at:stop]
            self.others.append(Other(text, len(numbers)))
            if self.fences and any(fence in text for fence in self.fences):
                self.fences = ()
                numbers.clear()
            return
        if self.keeps_last:
            self.last = data[at:stop]
        while found >= 0:
            digits = found + len(mark)
            number = data[digits : digits + NUMBER_DIGITS]
            if digits + NUMBER_DIGITS <= stop and number.isdigit():
                numbers.append(int(number))
            found = data.find(mark, digits, stop)

    def _take(self, first: int, payload: bytes, numbers: list[int]) -> None:
        """Handle every frame that is not a whole text message: rare, so clarity first."""
        opcode, final = first & 0x0F, bool(first & 0x80)
        if first & 0x70:
            self.fault = "a reserved bit set without an extension (RFC 6455 section 5.2)"
        elif opcode in (_CLOSE, _PING, _PONG):
            if not final or len(payload) > 125:
                self.fault = "a fragmented or oversized control frame (RFC 6455 section 5.5)"
            else:
                self.controls.append((opcode, payload))
        elif opcode in (_TEXT, _BINARY):
            if self._fragments is not None:
                self.fault = "a new message inside a fragmented one (RFC 6455 section 5.4)"
            elif final:
                self._search(payload, 0, len(payload), numbers)
            else:
                self._fragments = [payload]
        elif opcode == _CONTINUATION:
            self._continue(payload, final, numbers)
        else:
            self.fault = f"the reserved opcode {opcode:#x} (RFC 6455 section 5.2)"

    def _continue(self, payload: bytes, final: bool, numbers: list[int]) -> None:
        if self._fragments is None:
            self.fault = "a continuation of nothing (RFC 6455 section 5.4)"
            return
        self._fragments.append(payload)
        if sum(map(len, self._fragments)) > MAX_MESSAGE_BYTES:
            self.fault = f"a message of more than {MAX_MESSAGE_BYTES} bytes"
        elif final:
            whole = b"".join(self._fragments)
            self._fragments = None
            self._search(whole, 0, len(whole), numbers)
