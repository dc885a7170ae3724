"""The frame builder and parser: what is built is read back, in any pieces and within bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securitytests.probe.frames import (
    FrameParser,
    Opcode,
    ProtocolViolationError,
    apply_mask,
    close_payload,
    encode_frame,
)


@given(
    payload=st.binary(max_size=70_000),
    opcode=st.sampled_from([Opcode.CONTINUATION, Opcode.TEXT, Opcode.BINARY]),
    fin=st.booleans(),
    rsv=st.integers(0, 7),
    masked=st.booleans(),
    piece=st.integers(1, 5_000),
)
def test_a_frame_is_read_back_as_it_was_built_in_whatever_pieces_it_comes(
    payload, opcode, fin, rsv, masked, piece
):
    data = encode_frame(payload, opcode, fin=fin, rsv=rsv, mask=b"" if masked else None)
    parser = FrameParser()
    found = []
    for at in range(0, len(data), piece):
        parser.feed(data[at : at + piece])
        frame = parser.next_frame()
        if frame is not None:
            found.append(frame)
    (frame,) = found
    assert (frame.payload, frame.opcode, frame.fin, frame.rsv, frame.masked) == (
        payload,
        opcode,
        fin,
        rsv,
        masked,
    )


@given(payload=st.binary(max_size=300), key=st.binary(min_size=4, max_size=4))
def test_masking_is_what_the_rfc_says(payload, key):
    assert apply_mask(payload, key) == bytes(b ^ key[i % 4] for i, b in enumerate(payload))


def test_the_header_can_lie_about_its_length():
    assert encode_frame(b"", declared_length=2**63, mask=None) == b"\x81\x7f\x80" + b"\0" * 7
    assert encode_frame(b"ab", length_bytes=8, mask=None) == b"\x81\x7f" + b"\0" * 7 + b"\x02ab"
    assert close_payload(None) == b""
    assert close_payload(1000, b"done") == b"\x03\xe8done"


def test_a_frame_larger_than_the_bound_is_refused_on_its_header():
    parser = FrameParser(max_payload=100)
    parser.feed(encode_frame(b"", declared_length=101, mask=None))
    with pytest.raises(ProtocolViolationError, match="101 bytes"):
        parser.next_frame()


@pytest.mark.parametrize("bits", [{"fin": False}, {"declared_length": 126}])
def test_a_malformed_control_frame_is_refused(bits):
    parser = FrameParser()
    parser.feed(encode_frame(b"x", Opcode.PING, mask=None, **bits) + b"x" * 200)
    with pytest.raises(ProtocolViolationError, match="control frame"):
        parser.next_frame()
