"""What the fuzzer says: handshakes, messages and frames, from the right one to rubbish.

Most of each is nearly right: what is rubbish from its first byte on is refused at the first gate
and never comes near the code behind it.
"""

import base64
import json
from dataclasses import dataclass

from hypothesis import strategies as st

from securitytests.probe.frames import Opcode, encode_frame


@dataclass(frozen=True)
class Many:
    """A part repeated: long inputs that stay short when an example is printed."""

    part: bytes
    times: int = 1

    def __bytes__(self) -> bytes:
        return self.part * self.times


# Messages

WORDS = st.sampled_from(["writer", "lint", "", "\x00", "é", "\ud800", "x" * 300, "../..", "null"])
NUMBERS = st.one_of(
    st.integers(-1, 101),
    st.sampled_from([2**31, 2**53, 2**64, -(2**63), 10**400, 0.5, -0.0, 1e308, 1e-320]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)

TYPES = (
    "phase_start",
    "phase_progress",
    "phase_complete",
    "phase_failed",
    "checkpoint_created",
    "file_trashed",
    "phase_update",
)
TIMESTAMPS = st.sampled_from(
    ["2025-01-01T12:00:00Z", "2025-01-01T12:00:00.999999+00:00", "0000-00-00T00:00:00Z", "now"]
)
EVENTS = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES), "timestamp": TIMESTAMPS},
    optional={
        "phase": WORDS,
        "status": st.sampled_from(["in_progress", "completed", "failed", "?"]),
        "progress": NUMBERS,
        "run": WORDS,
        "id": st.sampled_from(["a", "b", "", "x" * 300]),
        "message": WORDS,
        "error": WORDS,
        "path": WORDS,
        "offset": NUMBERS,
    },
)


def _either(right: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """What belongs there, three times out of four."""
    return st.one_of(right, right, right, ANYTHING)


_SINCE = st.fixed_dictionaries({"epoch": WORDS, "offset": NUMBERS})
_FIELDS: dict[str, st.SearchStrategy[object]] = {
    "auth": st.fixed_dictionaries({"token": _either(st.just("{token}"))}),
    "publish": st.fixed_dictionaries({"events": _either(st.lists(EVENTS, max_size=4))}),
    "subscribe": st.fixed_dictionaries(
        {},
        optional={
            "phases": _either(st.lists(WORDS, max_size=3)),
            "types": _either(st.lists(st.sampled_from(TYPES), max_size=3)),
            "run": _either(WORDS),
            "since": _either(_SINCE),
        },
    ),
    "unsubscribe": st.just({}),
    "ping": st.just({}),
    "pong": st.just({}),
    "server_shutdown": st.just({}),
}
MESSAGES = st.one_of(
    *(
        st.tuples(
            fields, st.dictionaries(st.sampled_from(["ref", "token"]), ANYTHING, max_size=1)
        ).map(lambda parts, kind=kind: {"type": kind, **parts[0], **parts[1]})
        for kind, fields in _FIELDS.items()
    ),
    ANYTHING,
)


def encoded(message: object, token: str) -> bytes:
    """Return a message as the bytes of a text frame, with a good token where it names one."""
    text = json.dumps(message, ensure_ascii=False).replace("{token}", token)
    return text.encode("utf-8", "surrogatepass")


#: JSON that no encoder writes.
ODD_TEXTS = st.sampled_from(
    [
        Many(b""),
        Many(b"[", 5000),
        Many(b'{"type":"ping","type":"auth"}'),
        Many(b'{"type":NaN}'),
        Many(b'{"type":"ping","ref":1e999}'),
        Many(b'{"type":"ping"}', 2),
        Many(b'\xef\xbb\xbf{"type":"ping"}'),
        Many(b'{"type":"\\ud800"}'),
        Many(b"9", 5000),
        Many(b"\xff\xfe"),
    ]
)


@dataclass(frozen=True)
class Mutation:
    """A change of bytes: at a place (a share of their length), what is put in for how many."""

    at: float
    removed: int
    added: bytes

    def of(self, data: bytes) -> bytes:
        """Return the bytes with the change made."""
        at = int(self.at * len(data))
        return data[:at] + self.added + data[at + self.removed :]


MUTATIONS = st.lists(
    st.builds(
        Mutation,
        at=st.floats(0, 1),
        removed=st.integers(0, 8),
        added=st.one_of(st.binary(max_size=4), st.sampled_from([b"\r\n", b"\x00", b'"', b"{"])),
    ),
    max_size=2,
)


def mutated(data: bytes, mutations: list[Mutation]) -> bytes:
    """Return the bytes with every change made, in order."""
    for mutation in mutations:
        data = mutation.of(data)
    return data


# Frames


@dataclass(frozen=True)
class Shape:
    """How a frame's header is bent; as it stands here, it is not."""

    fin: bool = True
    rsv: int = 0
    masked: bool = True
    length_bytes: int | None = None
    longer_by: int = 0


SHAPES = st.one_of(
    st.just(Shape()),
    st.builds(
        Shape,
        fin=st.booleans(),
        rsv=st.sampled_from([0, 0, 0, 1, 4, 7]),
        masked=st.sampled_from([True, True, True, False]),
        length_bytes=st.sampled_from([None, None, 2, 8]),
        longer_by=st.sampled_from([0, 0, 0, 1, 2**17]),
    ),
)
OPCODES = st.one_of(st.sampled_from(list(Opcode)), st.integers(0, 15))
PAYLOADS = st.one_of(
    st.builds(Many, st.binary(max_size=140)),
    st.builds(
        Many, st.sampled_from([b"", b"\x03\xe8", b"\x03\xe8\xff", b"\x03", b"\x00\x00"]), st.just(1)
    ),
    st.builds(Many, st.just(b"a"), st.sampled_from([126, 65_536, 262_144, 262_145])),
)


def frame(payload: bytes, opcode: int, shape: Shape) -> bytes:
    """Return one frame of this shape."""
    length = len(payload) + shape.longer_by
    fits = shape.length_bytes if shape.length_bytes != 2 or length < 2**16 else None
    return encode_frame(
        payload,
        opcode,
        fin=shape.fin,
        rsv=shape.rsv,
        mask=b"" if shape.masked else None,
        declared_length=length if shape.longer_by else None,
        length_bytes=fits,
    )


def fragments(payload: bytes, cuts: list[float], between: list[bytes]) -> bytes:
    """Return a text message cut into frames at these places, with other frames between them."""
    places = sorted({int(cut * len(payload)) for cut in cuts} | {0})
    parts = [payload[a:b] for a, b in zip(places, [*places[1:], len(payload)], strict=True)]
    joined = bytearray()
    for number, part in enumerate(parts):
        opcode = Opcode.TEXT if number == 0 else Opcode.CONTINUATION
        joined += encode_frame(part, opcode, fin=number == len(parts) - 1)
        if number < len(between):
            joined += between[number]
    return bytes(joined)


# Handshakes

HEADERS = st.tuples(
    st.sampled_from(
        [
            "Host",
            "Upgrade",
            "Connection",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Version",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Extensions",
            "Origin",
            "Authorization",
            "Content-Length",
            "Transfer-Encoding",
            "X-Forwarded-For",
            "Expect",
            "Cookie",
            "X: Y\r\nZ",
            "",
        ]
    ),
    st.sampled_from(
        [
            "",
            "websocket",
            "Upgrade, keep-alive",
            "13",
            "8",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=99",
            ',;=,"',
            "a" * 120,
            base64.b64encode(b"0" * 16).decode(),
            "Bearer",
            "Bearer a.b.c",
            "chunked",
            "5",
            "-1",
            "100-continue",
            "null",
            "127.0.0.1, ::1, x",
            "\x00\xff",
        ]
    ),
)
PATHS = st.one_of(
    st.sampled_from(
        [b"/", b"/?token=", b"/?token=a&token=b", b"/metrics", b"/%00", b"//", b"*"]
    ).map(Many),
    st.just(Many(b"/../x", 1800)),
)
METHODS = st.sampled_from(["GET", "GET", "GET", "POST", "HEAD", "OPTIONS", "get", "TRACE", "\x16"])
