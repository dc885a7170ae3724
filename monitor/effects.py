"""What a session decides that its connection is to do. Pure data."""

import msgspec

from monitor import wire
from monitor.eventlog import Filter
from monitor.events import Event
from monitor.wire import CloseCode, Reference


class Send(msgspec.Struct, frozen=True):
    """Send one message."""

    payload: bytes


class Close(msgspec.Struct, frozen=True):
    """Close the connection; nothing after this effect is carried out."""

    code: CloseCode
    reason: str


class Stream(msgspec.Struct, frozen=True):
    """Start the stream, or replace its filter and cursor."""

    filter: Filter | None
    since: wire.Since | None = None
    ref: Reference | None = None


class Silence(msgspec.Struct, frozen=True):
    """Stop the stream."""


class Store(msgspec.Struct, frozen=True):
    """Store validated events of `subject`, all or none, then acknowledge with `ref`."""

    subject: str
    events: tuple[Event, ...]
    ref: Reference | None
    redactions: int


class ProtocolPing(msgspec.Struct, frozen=True):
    """Send a WebSocket ping frame."""


class Abort(msgspec.Struct, frozen=True):
    """Drop the transport without further words: the peer did not finish in time."""


Effect = Send | Close | Stream | Silence | Store | ProtocolPing | Abort
