"""Compressed messages of the probe, read by a library not ours; bombs made without their size."""

import json

import pytest
from websockets.exceptions import PayloadTooBig
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from securitytests.probe.deflate import (
    BOMB_RATIO,
    Inflater,
    bomb,
    compressed_fragments,
    compressed_frame,
    deflated,
)
from securitytests.probe.frames import FrameParser, ProtocolViolationError

MIB = 2**20


def reader():
    """A server that agreed to the smallest window, and to keep nothing between messages."""
    return PerMessageDeflate(True, True, 9, 9)


def frames_of(data):
    parser = FrameParser()
    parser.feed(data)
    return list(iter(parser.next_frame, None))


def inflated(frames, most=None):
    """Return what the library reads of a message's frames."""
    library, whole = reader(), b""
    for frame in frames:
        read = Frame(Opcode(frame.opcode), frame.payload, frame.fin, bool(frame.rsv & 4))
        whole += library.decode(read, max_size=most).data
    return whole


def test_a_compressed_message_is_read_as_it_was():
    text = json.dumps({"phases": [f"phase {number}" for number in range(2_000)]}).encode()
    assert inflated(frames_of(compressed_frame(deflated(text)))) == text
    assert Inflater().message(deflated(text), len(text)) == text


@pytest.mark.parametrize("size", [2, 262_144, 262_145, 3 * MIB + 17])
def test_a_bomb_becomes_exactly_as_large_as_asked(size):
    frames = frames_of(compressed_frame(bomb(size)))
    assert inflated(frames) == b"x" * size
    with pytest.raises(PayloadTooBig):
        inflated(frames, size - 1)


def test_a_bomb_is_a_thousandth_of_what_it_becomes():
    assert len(bomb(200 * MIB)) <= 200 * MIB / BOMB_RATIO


def test_fragments_of_a_compressed_message_are_one_message():
    payload = bomb(4 * MIB)
    size = len(payload) // 3
    frames = frames_of(b"".join(compressed_fragments(payload, (size, size))))
    assert [(frame.opcode, frame.fin, frame.rsv) for frame in frames] == [
        (1, False, 4),
        (0, False, 0),
        (0, True, 0),
    ]
    assert inflated(frames) == b"x" * 4 * MIB


def test_an_inflater_is_not_filled_by_a_bomb_nor_upset_by_what_is_none():
    with pytest.raises(ProtocolViolationError, match="more than 1000 bytes, inflated"):
        Inflater().message(bomb(10 * MIB), 1_000)
    with pytest.raises(ProtocolViolationError, match="does not inflate"):
        Inflater().message(b"\xff" * 9, 1_000)
