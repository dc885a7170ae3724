"""The monitor's wire: message shapes, close codes, error codes, and how a frame is built.

One JSON object per text frame. Judges of this monitor do not read this file: what they know of
it stands in the target profile.
"""

import json
from enum import IntEnum, StrEnum
from typing import Annotated, Any, get_args

import msgspec

from monitor.events import Event, EventType, explain

#: Events one `publish` may carry.
MAX_BATCH_EVENTS = 1_000

_Text = Annotated[str, msgspec.Meta(max_length=64)]
_Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Reference = _Text | _Number
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
_Token = Annotated[str, msgspec.Meta(max_length=8_192)]


class CloseCode(IntEnum):
    """Close codes this server sends (RFC 6455 section 7.4; 4000–4999 are its own)."""

    INVALID_DATA = 1007
    RESTARTING = 1012
    TRY_LATER = 1013
    BAD_MESSAGE = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    DEADLINE = 4408
    LIMITED = 4429


class ErrorCode(StrEnum):
    """The `code` of an `error` message."""

    BAD_MESSAGE = "bad_message"
    INVALID_EVENT = "invalid_event"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"


class _Message(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="type",
    kw_only=True,
):
    """What every client message may carry: a reference for the reply, a token of its own."""

    ref: Reference | None = None
    token: _Token | None = None


class Auth(_Message, frozen=True, tag="auth"):
    """Authenticate, or renew with a fresh token of the same subject."""


class Since(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a subscriber was: the epoch it saw and the last offset it has."""

    epoch: Annotated[str, msgspec.Meta(max_length=64)]
    offset: _Number


class Subscribe(_Message, frozen=True, tag="subscribe"):
    """Replace filter and cursor. An absent filter admits everything."""

    phases: Annotated[list[_Name], msgspec.Meta(max_length=64)] | None = None
    types: Annotated[list[EventType], msgspec.Meta(max_length=len(get_args(EventType)))] | None = (
        None
    )
    run: _Name | None = None
    since: Since | None = None


class Unsubscribe(_Message, frozen=True, tag="unsubscribe"):
    """Stop the stream; the connection stays."""


class Publish(_Message, frozen=True, tag="publish"):
    """Store events, all or none, in order."""

    events: Annotated[list[Event], msgspec.Meta(min_length=1, max_length=MAX_BATCH_EVENTS)]


class Ping(_Message, frozen=True, tag="ping"):
    """Ask for a `pong`; counts as activity."""


ClientMessage = Auth | Subscribe | Unsubscribe | Publish | Ping


class _Ack(msgspec.Struct, tag_field="type", tag="ack", omit_defaults=True):
    """The one server message of the hot path; the others are encoded from fields."""

    ref: Reference | None = None
    offsets: list[int] = []


class _Referring(msgspec.Struct):
    """What is read of a message that is not one of ours: enough to say which it was."""

    ref: Reference | None = None


_decoder: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_referring = msgspec.json.Decoder(_Referring)
_encoder = msgspec.json.Encoder()


class MalformedMessageError(Exception):
    """A client message that is not JSON or not one of ours.

    `public` may be sent back: it names the place, never the value. `index` is the event of a
    `publish` that was at fault, or None; `ref` that of the message, if it can be made out.
    """

    def __init__(self, public: str, index: int | None, ref: Reference | None) -> None:
        super().__init__(public)
        self.public = public
        self.index = index
        self.ref = ref

    @property
    def code(self) -> ErrorCode:
        """What is at fault: an event of a publication, or the message itself."""
        return ErrorCode.BAD_MESSAGE if self.index is None else ErrorCode.INVALID_EVENT


def decode(text: str) -> ClientMessage:
    """Decode one client message.

    Raises:
        MalformedMessageError: not JSON, too deep, of no known type, or of the wrong shape; or a
            key stands twice in one of its objects, so that others may read another message in it.
    """
    try:
        message = _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
        public, index = explain(error)
        raise MalformedMessageError(public, index, _reference(text)) from None
    if not _has_single_keys(text, message):
        _require_single_keys(text, message)
    return message


def _has_single_keys(text: str, message: ClientMessage) -> bool:
    """Tell at little cost that no key stands twice in the text of a message; False: it may.

    Only keys and strings have quotes, and a second key brings at least two that encoding what was
    read does not need. It needs more than came only where a quote came as an escape, U+0022.
    """
    needed = _encoder.encode(message)
    return text.count('"') == needed.count(b'"') and "\\u0022" not in text


def _require_single_keys(text: str, message: ClientMessage) -> None:
    """Walk through the text of a message, object by object.

    Raises:
        MalformedMessageError: a key stands twice, in the event of a publication or beside it.
    """
    single: list[bool] = []  # in the order in which objects end: the message itself is the last
    json.loads(text, object_pairs_hook=lambda pairs: single.append(len(dict(pairs)) == len(pairs)))
    if not all(single):
        in_event = isinstance(message, Publish) and single[-1]
        index = single.index(False) if in_event else None
        raise MalformedMessageError("a key stands twice", index, _reference(text))


def _reference(text: str) -> Reference | None:
    """Return the reference of a message that is not one of ours, or None."""
    try:
        return _referring.decode(text).ref
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


def encode(kind: str, ref: Reference | None = None, /, **fields: Any) -> bytes:
    """Encode one server message; fields that are None are left out."""
    message: dict[str, Any] = {"type": kind}
    if ref is not None:
        message["ref"] = ref
    message.update((name, value) for name, value in fields.items() if value is not None)
    return _encoder.encode(message)


def ack(ref: Reference | None, offsets: list[int]) -> bytes:
    """Encode the acknowledgement of a `publish`: the offset of each of its events."""
    return _encoder.encode(_Ack(ref, offsets))


def error(
    code: ErrorCode,
    message: str,
    *,
    ref: Reference | None = None,
    retry_after: float | None = None,
    index: int | None = None,
) -> bytes:
    """Encode an `error`. With `retry_after` (seconds) the same message may succeed later."""
    wait = None if retry_after is None else round(retry_after, 3)
    return encode(
        "error",
        ref,
        code=code,
        message=message,
        retryable=wait is not None,
        retry_after=wait,
        index=index,
    )


def text_frame(payload: bytes) -> bytes:
    """Return `payload` (UTF-8) as one unmasked, unfragmented text frame (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        return b"\x81%c%b" % (size, payload)
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload
