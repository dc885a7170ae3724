import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from loadtests.connections.frames import (
    MAX_MESSAGE_BYTES,
    NUMBER_DIGITS,
    Walker,
    identifier,
    marker,
)

RUN = "0a1b2c3d"


def event(number: int, padding: int = 0) -> bytes:
    return f'{{"id":"{identifier(RUN, number)}","message":"{"x" * padding}"}}'.encode()


def frame(opcode: Opcode, payload: bytes, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=False)


def walk(chunks: list[bytes]) -> tuple[list[int], list[bytes], list[tuple[int, bytes]], str | None]:
    walker = Walker(marker(RUN))
    numbers = [number for chunk in chunks for number in walker.feed(chunk)]
    return numbers, [one.text for one in walker.others], walker.controls, walker.fault


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """One message: an event of ours or another text, whole or in fragments, with pings between."""
    if draw(st.booleans()):
        payload = event(
            draw(st.integers(0, 10**NUMBER_DIGITS - 1)), draw(st.sampled_from([0, 60, 80, 70_000]))
        )
    else:
        payload = draw(st.binary(max_size=300))
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    edges = [0, *cuts, len(payload)]
    pieces = [payload[low:high] for low, high in itertools.pairwise(edges)]
    out = b""
    for index, piece in enumerate(pieces):
        opcode = Opcode.TEXT if index == 0 else Opcode.CONT
        out += frame(opcode, piece, fin=index == len(pieces) - 1)
        if draw(st.booleans()):
            out += frame(Opcode.PING, draw(st.binary(max_size=125)))
    return out


broken = st.sampled_from(
    [
        b"",
        b"\xc1\x00",  # a reserved bit
        b"\x83\x00",  # a reserved opcode
        b"\x80\x00",  # a continuation of nothing
        b"\x09\x00",  # a fragmented ping
        b"\x81\x80\x00\x00\x00\x00",  # masked
        b"\x81\xfe\x00\x7e",  # masked with a long length
        b"\x01\x00\x81\x00",  # a message inside another
    ]
)


@given(st.lists(messages(), max_size=6), broken, st.data())
def test_any_split_of_the_stream_gives_the_same_result(
    sent: list[bytes], ending: bytes, data: st.DataObject
) -> None:
    stream = b"".join(sent) + ending
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    edges = [0, *cuts, len(stream)]
    chunks = [stream[low:high] for low, high in itertools.pairwise(edges)]
    assert walk(chunks) == walk([stream])


def test_one_byte_at_a_time_finds_what_is_found_at_once() -> None:
    stream = b"".join(frame(Opcode.TEXT, event(number, 200)) for number in range(5))
    assert walk([bytes((byte,)) for byte in stream])[0] == [0, 1, 2, 3, 4]


def test_short_medium_and_long_lengths_are_walked() -> None:
    sizes = [0, 60, 300, 70_000]
    stream = b"".join(frame(Opcode.TEXT, event(size, size)) for size in sizes)
    assert walk([stream]) == (sizes, [], [], None)


def test_several_events_in_one_message_are_all_found() -> None:
    payload = b"[" + event(7) + b"," + event(8) + b"]"
    assert walk([frame(Opcode.TEXT, payload)])[0] == [7, 8]


def test_an_event_split_over_fragments_with_a_ping_between_is_found() -> None:
    payload = event(42)
    stream = (
        frame(Opcode.TEXT, payload[:15], fin=False)
        + frame(Opcode.PING, b"still there?")
        + frame(Opcode.CONT, payload[15:])
    )
    assert walk([stream]) == ([42], [], [(Opcode.PING, b"still there?")], None)


def test_another_runs_events_are_none_of_ours() -> None:
    other = event(1).replace(RUN.encode(), b"ffffffff")
    numbers, others, _, _ = walk([frame(Opcode.TEXT, other)])
    assert (numbers, others) == ([], [other])


def test_events_before_a_breach_count_and_nothing_after_it() -> None:
    stream = frame(Opcode.TEXT, event(1)) + b"\xc1\x00" + frame(Opcode.TEXT, event(2))
    numbers, _, _, fault = walk([stream])
    assert numbers == [1]
    assert fault is not None
    assert "reserved bit" in fault


def test_masked_frames_are_refused() -> None:
    stream = Frame(Opcode.TEXT, event(1)).serialize(mask=True)
    numbers, _, _, fault = walk([stream])
    assert numbers == []
    assert fault is not None
    assert "masked" in fault


def test_a_length_nobody_sends_is_refused_before_anything_is_held() -> None:
    _, _, _, fault = walk([b"\x81\x7f" + (MAX_MESSAGE_BYTES + 1).to_bytes(8, "big")])
    assert fault is not None
    assert str(MAX_MESSAGE_BYTES + 1) in fault


def test_between_messages_only_when_nothing_is_open() -> None:
    walker = Walker(marker(RUN))
    whole = frame(Opcode.TEXT, event(1))
    assert walker.between_messages
    walker.feed(whole[:10])
    assert not walker.between_messages
    walker.feed(whole[10:])
    assert walker.between_messages
    walker.feed(frame(Opcode.TEXT, b"a", fin=False))
    assert not walker.between_messages


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (b"\xc1\x00", "reserved bit"),
        (b"\x83\x00", "reserved opcode"),
        (b"\x80\x00", "continuation of nothing"),
        (b"\x09\x00", "control frame"),
        (b"\x89\x7e\x00\x7e" + bytes(126), "control frame"),
        (b"\x81\x80\x00\x00\x00\x00", "masked"),
        (b"\x01\x00\x81\x00", "inside a fragmented one"),
    ],
)
def test_every_breach_of_the_protocol_is_named(stream: bytes, said: str) -> None:
    fault = walk([stream])[3]
    assert fault is not None
    assert said in fault


def test_a_fence_takes_back_what_came_before_it_once() -> None:
    walker = Walker(marker("r"), keeps_last=True)
    walker.fences = (b'"recovered"',)

    def text(content: str) -> bytes:
        return Frame(Opcode.TEXT, content.encode()).serialize(mask=False)

    stream = text(identifier("r", 7)) + text('{"recovered":true}') + text(identifier("r", 3))
    assert walker.feed(stream) == [3]
    assert walker.last == identifier("r", 3).encode()
    assert walker.feed(text('{"recovered":true}') + text(identifier("r", 4))) == [4]
    assert walker.fences == ()
