"""What the monitor says to a client, decoded; and the few things a client says.

Fields that are not known here are ignored, and so are messages of an unknown type, so that an
older client can listen to a newer monitor. See docs/protocol.md for every message.
"""

from collections.abc import Iterable
from enum import IntEnum, StrEnum
from typing import Any

import msgspec

from monitor.client.errors import ProtocolError


class CloseCode(IntEnum):
    """The close codes a client acts on; `monitor.wire` has all of them."""

    TOO_BIG = 1009
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403


class ErrorCode(StrEnum):
    """The error codes a client acts on; `monitor.wire` has all of them."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    RATE_LIMITED = "rate_limited"


EVENT_TYPES = (
    "phase_start",
    "phase_progress",
    "phase_complete",
    "phase_failed",
    "checkpoint_created",
    "file_trashed",
    "phase_update",
)


class Event(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One event as the monitor delivers it. What an event does not carry is None.

    `offset` counts accepted events from 1. A `snapshot` event has none: it is the current state
    of a phase, told to a newcomer. `progress` is in percent.
    """

    type: str
    timestamp: str
    phase: str | None = None
    status: str | None = None
    progress: int | float | None = None
    path: str | None = None
    error: str | None = None
    message: str | None = None
    run: str | None = None
    id: str | None = None
    offset: int | None = None
    snapshot: bool = False

    def to_json(self) -> bytes:
        """Return the event as one JSON object."""
        return msgspec.json.encode(self)


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """The monitor left out `omitted` events between two offsets, and says why.

    `thinned`: progress reports of a reader that fell behind, from among the offsets `start` to
    `end`; those of the stretch that were kept follow. `expired`: the log has none of them any
    more; a snapshot and `Subscribed` follow.
    """

    omitted: int
    reason: str
    start: int = msgspec.field(name="from")
    end: int = msgspec.field(name="to")


class Subscribed(msgspec.Struct, frozen=True, kw_only=True):
    """The fence: what came before belongs to the old cursor, what follows to the new.

    `recovered` is True when everything missed since the last position follows. When it is
    False, the snapshot before this message is all there is of the time before `offset`.
    """

    epoch: str
    offset: int
    recovered: bool
    count: int
    ref: int | str | None = None


class AuthOk(msgspec.Struct, frozen=True, kw_only=True):
    """Authentication succeeded. `expires_at` in Unix seconds, `idle_timeout` in seconds."""

    subject: str
    scope: list[str]
    expires_at: float
    idle_timeout: float


class AuthRequired(msgspec.Struct, frozen=True):
    """The monitor wants a token before anything else."""


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """Every event of a `publish` is stored, at these offsets."""

    offsets: list[int]
    ref: int | str | None = None


class Pong(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `ping`."""

    ref: int | str | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """An `error`: why a message was refused; `index` names the event of a batch at fault."""

    code: str
    message: str
    retryable: bool = False
    retry_after: float | None = None
    index: int | None = None
    ref: int | str | None = None


class ServerShutdown(msgspec.Struct, frozen=True, kw_only=True):
    """The monitor is about to stop; come back after `retry_after` seconds."""

    retry_after: float = 0.0


class Unknown(msgspec.Struct, frozen=True):
    """A message of a type this client does not know."""

    type: str


Message = (
    Event
    | Gap
    | Subscribed
    | AuthOk
    | AuthRequired
    | Ack
    | Pong
    | Refusal
    | ServerShutdown
    | Unknown
)

_SHAPES: dict[str, Any] = {
    **{kind: msgspec.json.Decoder(Event) for kind in EVENT_TYPES},
    "gap": msgspec.json.Decoder(Gap),
    "subscribed": msgspec.json.Decoder(Subscribed),
    "auth_ok": msgspec.json.Decoder(AuthOk),
    "auth_required": msgspec.json.Decoder(AuthRequired),
    "ack": msgspec.json.Decoder(Ack),
    "pong": msgspec.json.Decoder(Pong),
    "error": msgspec.json.Decoder(Refusal),
    "server_shutdown": msgspec.json.Decoder(ServerShutdown),
}
_unknown = msgspec.json.Decoder(Unknown)


def decode(text: bytes) -> Message:
    """Decode one message of the monitor.

    Raises:
        ProtocolError: not a JSON object with a `type`, or one of the monitor's with a wrong shape.
    """
    try:
        kind = _unknown.decode(text)
        shape = _SHAPES.get(kind.type)
        return kind if shape is None else shape.decode(text)
    except msgspec.MsgspecError as error:
        raise ProtocolError(
            f"expected a message of the monitor, got {text[:80]!r} ({error}); is this address"
            " a wsproof monitor?"
        ) from None


def publish(payloads: Iterable[bytes], ref: int) -> bytes:
    """Return a `publish` of events that are JSON already."""
    return b'{"type":"publish","ref":%d,"events":[%b]}' % (ref, b",".join(payloads))


def request(kind: str, ref: int, **fields: Any) -> bytes:
    """Return any other message of a client; fields that are None are left out."""
    present = {name: value for name, value in fields.items() if value is not None}
    return msgspec.json.encode({"type": kind, "ref": ref, **present})
