"""Messages compressed as RFC 7692 has it (permessage-deflate), and bombs of them. Pure.

Everything fits the smallest window a service may agree to, and no message refers to another: what
is made here any service that compresses can read.
"""

import zlib

from securitytests.probe.frames import Opcode, ProtocolViolationError, encode_frame

#: The first reserved bit: the message is compressed (RFC 7692 section 6).
COMPRESSED = 4

#: How many bytes of a bomb one byte of it becomes, at least.
BOMB_RATIO = 1_000

#: What ends a flushed block, and is left out of a message (RFC 7692 section 7.2.1).
_TAIL = b"\0\0\xff\xff"

#: Inflated bytes a bomb is built of; each block stands by itself and can be repeated.
_BLOCK_BYTES = 2**20


def deflated(data: bytes) -> bytes:
    """Return a message's payload, compressed."""
    return _flushed(data, zlib.Z_SYNC_FLUSH).removesuffix(_TAIL)


def bomb(inflated_bytes: int) -> bytes:
    """Return the payload of a message that becomes this large, made without being that large."""
    blocks, rest = divmod(inflated_bytes, _BLOCK_BYTES)
    block = _flushed(b"x" * _BLOCK_BYTES, zlib.Z_FULL_FLUSH)
    return (block * blocks + _flushed(b"x" * rest, zlib.Z_FULL_FLUSH)).removesuffix(_TAIL)


def compressed_frame(payload: bytes) -> bytes:
    """Return a whole text message of a compressed payload."""
    return encode_frame(payload, rsv=COMPRESSED)


def compressed_fragments(payload: bytes, sizes: tuple[int, ...]) -> list[bytes]:
    """Return the frames of a text message that comes in pieces of these sizes, and the rest.

    Only the first says that the message is compressed (RFC 7692 section 6.1).
    """
    pieces, at = [], 0
    for size in sizes:
        pieces.append(payload[at : at + size])
        at += size
    pieces.append(payload[at:])
    first = encode_frame(pieces[0], Opcode.TEXT, fin=False, rsv=COMPRESSED)
    between = [encode_frame(piece, Opcode.CONTINUATION, fin=False) for piece in pieces[1:-1]]
    return [first, *between, encode_frame(pieces[-1], Opcode.CONTINUATION)]


def _flushed(data: bytes, how: int) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -9)
    return deflate.compress(data) + deflate.flush(how)


class Inflater:
    """Reads the compressed messages of a connection, whatever window and context were agreed."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)

    def message(self, payload: bytes, most: int) -> bytes:
        """Return a message's payload as it was before it was compressed.

        Raises:
            ProtocolViolationError: it is none, or becomes larger than `most`.
        """
        try:
            whole = self._inflate.decompress(payload + _TAIL, most)
        except zlib.error as error:
            raise ProtocolViolationError(f"a message that does not inflate: {error}") from None
        if self._inflate.unconsumed_tail:
            raise ProtocolViolationError(f"a message of more than {most} bytes, inflated")
        return whole
