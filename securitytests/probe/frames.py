"""WebSocket frames (RFC 6455 section 5.2): built with any bits, parsed within bounds. Pure."""

import os
import struct
from enum import IntEnum

import msgspec

#: Largest payload taken from a service; a service that sends more is not read on.
MAX_PAYLOAD_BYTES = 4 * 2**20

#: Largest control frame payload (RFC 6455 section 5.5).
MAX_CONTROL_BYTES = 125


class Opcode(IntEnum):
    """Frame opcodes that have a meaning (RFC 6455 section 11.8)."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class Frame(msgspec.Struct, frozen=True):
    """One frame as received."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0
    masked: bool = False


class ProtocolViolationError(Exception):
    """The service broke the WebSocket protocol or a bound of this parser; the text says how."""


def encode_frame(
    payload: bytes = b"",
    opcode: int = Opcode.TEXT,
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = b"",
    declared_length: int | None = None,
    length_bytes: int | None = None,
) -> bytes:
    """Return one frame, legal by default, with any part of its header made to order.

    `mask` is four bytes; empty takes random ones, None sends the payload unmasked. `rsv` are the
    three reserved bits as a number, 0 to 7. `declared_length` is what the header states, if it
    shall not be the length of `payload`, in `length_bytes` (1, 2 or 8), if that shall not be the
    shortest form.
    """
    length = len(payload) if declared_length is None else declared_length
    if length_bytes is None:
        length_bytes = 1 if length < 126 else 2 if length < 2**16 else 8
    masked = 0 if mask is None else 0x80
    head = bytes([(0x80 if fin else 0) | (rsv << 4) | opcode])
    match length_bytes:
        case 1:
            head += bytes([masked | length])
        case 2:
            head += bytes([masked | 126]) + struct.pack("!H", length)
        case _:
            head += bytes([masked | 127]) + struct.pack("!Q", length)
    if mask is None:
        return head + payload
    key = mask or os.urandom(4)
    return head + key + apply_mask(payload, key)


def apply_mask(payload: bytes, key: bytes) -> bytes:
    """Return `payload` masked, or unmasked, with a four-byte key (RFC 6455 section 5.3)."""
    whole = int.from_bytes(payload, "big")
    repeated = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (whole ^ int.from_bytes(repeated, "big")).to_bytes(len(payload), "big")


def close_payload(code: int | None, reason: bytes = b"") -> bytes:
    """Return the payload of a close frame; without a code it is empty."""
    return b"" if code is None else struct.pack("!H", code) + reason


class FrameParser:
    """Takes bytes as they come and yields whole frames. Holds at most one frame of the bound."""

    def __init__(self, max_payload: int = MAX_PAYLOAD_BYTES) -> None:
        self._max_payload = max_payload
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._buffer += data

    def next_frame(self) -> Frame | None:
        """Return the next whole frame, or None until more bytes are fed.

        Raises:
            ProtocolViolationError: a frame too large for us, or a malformed control frame.
        """
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        opcode, masked, length = buffer[0] & 0x0F, bool(buffer[1] & 0x80), buffer[1] & 0x7F
        at = 2
        if length >= 126:
            wide = 2 if length == 126 else 8
            if len(buffer) < at + wide:
                return None
            length = int.from_bytes(buffer[at : at + wide], "big")
            at += wide
        if length > self._max_payload:
            raise ProtocolViolationError(
                f"a frame of {length} bytes; the probe takes at most {self._max_payload}"
            )
        if opcode >= Opcode.CLOSE and (length > MAX_CONTROL_BYTES or not buffer[0] & 0x80):
            raise ProtocolViolationError("a control frame that is too long or fragmented")
        key = bytes(buffer[at : at + 4]) if masked else b""
        at += len(key) if not masked else 4
        if len(buffer) < at + length:
            return None
        payload = bytes(buffer[at : at + length])
        frame = Frame(
            opcode=opcode,
            payload=apply_mask(payload, key) if masked else payload,
            fin=bool(buffer[0] & 0x80),
            rsv=buffer[0] >> 4 & 7,
            masked=masked,
        )
        del buffer[: at + length]
        return frame
