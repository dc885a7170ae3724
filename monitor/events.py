"""Pipeline events: decoded, validated, cleaned and encoded. Pure.

What is not in this schema is refused at publication, so it cannot leak. Free text is redacted
and made printable before it is stored anywhere.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Literal, cast

import msgspec
from msgspec import UNSET, UnsetType

from monitor.redaction import neutralise, redact

EventType = Literal[
    "phase_start",
    "phase_progress",
    "phase_complete",
    "phase_failed",
    "checkpoint_created",
    "file_trashed",
    "phase_update",
]
Status = Literal["pending", "in_progress", "completed", "failed"]

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
_Text = Annotated[str, msgspec.Meta(max_length=4_096)]
_Path = Annotated[str, msgspec.Meta(min_length=1, max_length=1_024)]
_Percent = Annotated[int, msgspec.Meta(ge=0, le=100)] | Annotated[float, msgspec.Meta(ge=0, le=100)]

Redact = Callable[[str], tuple[str, int]]

_NO_OFFSET = timedelta(0)

# Short and plain, or hex as of a UUID, with a number: nothing in it is secret or invisible.
_PLAIN_NAME = re.compile(
    r"[A-Za-z0-9_. -]{1,15}"
    r"|(?:[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|[0-9a-f]{16})(?:-[0-9]{1,9})?"
)
_QUOTED_VALUE = re.compile(r" '.*'", re.DOTALL)
_UNKNOWN_FIELD = re.compile(r"unknown field `(.*)`", re.DOTALL)
_INDEX = re.compile(r"`\$\.events\[(\d+)\]")


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One event as a publisher sends it: no offset, no snapshot mark; those are the server's."""

    type: EventType
    timestamp: Annotated[datetime, msgspec.Meta(tz=True)]
    phase: _Name | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    progress: _Percent | UnsetType = UNSET
    path: _Path | UnsetType = UNSET
    error: _Text | UnsetType = UNSET
    run: _Name | UnsetType = UNSET
    id: _Name | UnsetType = UNSET
    message: _Text | UnsetType = UNSET


class InvalidEventError(Exception):
    """An event of the right shape that breaks its type's rule. Its text may be sent back."""


class _Rule(msgspec.Struct, frozen=True):
    """What one event type demands beside `type` and `timestamp`, what it fixes and what not.

    `foreign` are the fields it does not have, `names` and `texts` those it has that are names, and
    whose text is cleaned; `fixed` are those whose value it fixes.
    """

    required: tuple[str, ...]
    foreign: tuple[str, ...]
    names: tuple[str, ...]
    texts: tuple[str, ...]
    fixed: tuple[tuple[str, object], ...]


_EVERYWHERE = ("run", "id", "message")
_STATE = ("phase", "status", "progress")
_NAMES = ("phase", "run", "id")
_FREE_TEXTS = ("message", "error", "path")
_OPTIONAL = tuple(field.name for field in msgspec.structs.fields(Event) if field.default is UNSET)


def _rule(
    *required: str,
    also: tuple[str, ...] = (),
    status: Status | None = None,
    progress: int | None = None,
) -> _Rule:
    allowed = {*required, *also, *_EVERYWHERE}
    foreign = tuple(name for name in _OPTIONAL if name not in allowed)
    names = tuple(name for name in _NAMES if name in allowed)
    texts = tuple(name for name in _FREE_TEXTS if name in allowed)
    values = (("status", status), ("progress", progress))
    fixed = tuple((name, value) for name, value in values if value is not None)
    return _Rule(required, foreign, names, texts, fixed)


_RULES: dict[str, _Rule] = {
    "phase_start": _rule("phase", also=_STATE, status="in_progress", progress=0),
    "phase_progress": _rule("phase", "progress", also=_STATE, status="in_progress"),
    "phase_complete": _rule("phase", also=_STATE, status="completed", progress=100),
    "phase_failed": _rule("phase", "error", also=_STATE, status="failed"),
    "checkpoint_created": _rule("path", also=("phase",)),
    "file_trashed": _rule("path", also=("phase",)),
    "phase_update": _rule(*_STATE, also=("error",)),
}

_encode = msgspec.json.Encoder().encode


class StoredEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An event read back, with the offset it was stored at."""

    offset: int


_stored = msgspec.json.Decoder(StoredEvent)


def free_texts(events: Iterable[Event]) -> list[str]:
    """Return the free texts of events in the order in which `accept` would redact them."""
    return [
        text
        for event in events
        for text in (event.message, event.error, event.path)
        if text is not UNSET
    ]


def accept(event: Event, redact: Redact | None = redact) -> tuple[Event, int]:
    """Validate one decoded event and return it clean and complete, with the redactions made.

    Status and progress are filled in where the type fixes them; free text is redacted, by
    `redact` of the publisher's `Redactor` if there is one, and control characters are made
    visible in it; None if it is known to be clean. Names are never changed, as two that differ
    might then be one.

    Raises:
        InvalidEventError: a field is missing, does not belong, or contradicts the type; or a name
            looks like a secret or has characters that cannot be seen.
    """
    rule = _RULES[event.type]
    for name in rule.foreign:
        if getattr(event, name) is not UNSET:
            raise InvalidEventError(f"{event.type} has no field `{name}`")
    for name in rule.required:
        if getattr(event, name) is UNSET:
            raise InvalidEventError(f"{event.type} needs `{name}`")
    timestamp = event.timestamp
    if timestamp.tzinfo is not UTC and timestamp.utcoffset() != _NO_OFFSET:
        raise InvalidEventError("`timestamp` must be in UTC: end it with Z")
    changes: dict[str, object] = {}
    for name, value in rule.fixed:
        given = getattr(event, name)
        if given is UNSET:
            changes[name] = value
        elif given != value:
            raise InvalidEventError(f"{event.type} has {name} {value}; leave it out or say so")
    for name in rule.names:
        text = getattr(event, name)
        if text is not UNSET:
            fault = _fault_of_name(text) if name == "id" else _fault_of_known_name(text)
            if fault is not None:
                raise InvalidEventError(f"`{name}` {fault}")
    redactions = 0
    if redact is not None:
        for name in rule.texts:
            text = getattr(event, name)
            if text is UNSET:
                continue
            clean, found = redact(text)
            redactions += found
            if not clean.isprintable():
                clean = neutralise(clean)
            if clean is not text:
                changes[name] = clean
    if changes:
        event = msgspec.structs.replace(event, **changes)
    return event, redactions


def restore(payload: bytes) -> StoredEvent:
    """Return the event whose JSON was stored by this server.

    Raises:
        msgspec.DecodeError: it is not what was stored.
    """
    return _stored.decode(payload)


def complete(event: Event, progress: float) -> Event:
    """Return the event with this progress."""
    return msgspec.structs.replace(event, progress=progress)


def encode_event(event: Event, offset: int) -> bytes:
    """Return the event's JSON as delivered: its own fields, then `offset`."""
    return b'%b,"offset":%d}' % (_encode(event)[:-1], offset)


def explain(error: Exception) -> tuple[str, int | None]:
    """Say publicly what a decoding error was, and for which event of a batch.

    Names places and expectations, never the values that came: those may be secrets.
    """
    said = str(error)
    at = _INDEX.search(said)
    if unknown := _UNKNOWN_FIELD.search(said):
        name = neutralise(redact(unknown[1])[0])[:64]
        said = said[: unknown.start()] + f"unknown field `{name}`" + said[unknown.end() :]
    else:
        said = _QUOTED_VALUE.sub("", said)
    return said[:300], int(at[1]) if at else None


class PhaseState(msgspec.Struct, frozen=True, kw_only=True):
    """The current state of one phase of one run: what a newcomer is told first."""

    type: Literal["phase_update"] = "phase_update"
    timestamp: datetime
    phase: str
    status: Status
    progress: int | float
    run: str | UnsetType = UNSET
    message: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    snapshot: bool = True

    def encode(self) -> bytes:
        """Return the snapshot event's JSON; it has no offset."""
        return _encode(self)


def tells_state(event: Event) -> bool:
    """Tell whether an accepted event says what state a phase is in."""
    return event.status is not UNSET and event.phase is not UNSET


def state_of(event: Event) -> PhaseState:
    """Return the phase's state once an event that tells it happened."""
    return PhaseState(
        phase=str(event.phase),
        status=cast("Status", event.status),
        progress=0 if event.progress is UNSET else event.progress,
        timestamp=event.timestamp,
        run=event.run,
        message=event.message,
        error=event.error,
    )


def _fault_of_name(name: str) -> str | None:
    """Return why this cannot be the name of anything, or None."""
    if _PLAIN_NAME.fullmatch(name):
        return None
    if neutralise(name) != name:
        return "has control or invisible characters; leave them out"
    if redact(name)[1]:
        return "looks like a secret or says who someone is; names are shown: choose another"
    return None


_fault_of_known_name = lru_cache(maxsize=1_024)(_fault_of_name)  # phases and runs come again
