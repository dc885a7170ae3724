"""What a service promises, and how its refusals look: the tables a judge holds it to.

Times are in seconds, sizes in bytes. None means: nothing is promised.
"""

from datetime import date
from typing import Annotated, Any, Literal

import msgspec

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Bytes = Annotated[int, msgspec.Meta(ge=1, le=2**40)]
Text = Annotated[str, msgspec.Meta(min_length=1)]
Status = Annotated[int, msgspec.Meta(ge=300, le=599)]
CloseCode = Annotated[int, msgspec.Meta(ge=1000, le=4999)]
Situation = Literal[
    "unauthenticated",
    "expired",
    "revoked",
    "forbidden",
    "other_subject",
    "foreign_origin",
    "bad_message",
    "bad_event",
    "binary_message",
    "too_big",
    "too_many_fragments",
    "over_limit",
    "over_quota",
    "too_many_failures",
    "too_many_connections",
    "full",
    "authentication_deadline",
    "idle",
    "ping_deadline",
    "shutdown",
]


#: Situations an operator wants to be told of.
Recorded = Literal[
    "unauthenticated",
    "expired",
    "revoked",
    "forbidden",
    "too_many_failures",
    "over_limit",
    "over_quota",
    "too_many_connections",
    "authentication_deadline",
    "idle",
    "ping_deadline",
]


class Promises(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits and deadlines of the service; each is per client address unless it says otherwise.

    `counted` is what uses up the request window, `activity` what puts off the idle timeout. A
    deadline is kept if it is met within `tolerance_s`; `expiry_deadline_s` and
    `revocation_deadline_s` bound how long a token's end may take to be felt. With
    `half_open_counted`, a connection takes up a place before its handshake is done.
    """

    requests_per_window: Count | None = None
    window_s: Positive = 60.0
    counted: tuple[Literal["http", "handshake", "message", "publication"], ...] = (
        "http",
        "handshake",
        "message",
    )
    connections_per_address: Count | None = None
    half_open_counted: bool = False
    max_connections: Count | None = None
    publish_events_per_s: Count | None = None
    failed_authentications: Count | None = None
    failed_authentications_window_s: Positive = 60.0
    refused_messages_until_close: Count | None = None

    handshake_deadline_s: Positive | None = None
    authentication_deadline_s: Positive | None = None
    idle_timeout_s: Positive | None = None
    activity: tuple[Literal["message", "delivery", "ping", "pong", "byte"], ...] = (
        "message",
        "delivery",
    )
    ping_interval_s: Positive | None = None
    ping_answer_deadline_s: Positive | None = None
    close_deadline_s: Positive | None = None
    expiry_deadline_s: Positive | None = None
    revocation_deadline_s: Positive | None = None
    tolerance_s: Positive = 1.0

    max_message_bytes: Bytes | None = None
    max_fragments: Count | None = None
    control_frames_per_window: Count | None = None
    max_token_lifetime_s: Positive | None = None
    connection_lifetime_s: Positive | None = None

    attacked_p99_ms: Positive | None = None
    attacked_memory_bytes: Bytes | None = None
    attacked_recovery_s: Positive | None = None


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the service may answer in one situation; each of what is listed counts.

    `status` answers a handshake or a page, `close` are close codes, `error` is text in an error
    message. Where `close` is empty and `error` given, the connection stays open.
    """

    status: tuple[Status, ...] = ()
    close: tuple[CloseCode, ...] = ()
    error: Text | None = None


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the operator is told of a situation.

    `log` is text of the line in the log, with `{client}` (its address) or `{subject}` in it;
    `counter` is the beginning of the line on the page of metrics that counts it, up to the number.
    """

    log: Text | None = None
    counter: Text | None = None


class RetryAfter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a refusal over a limit says when to come back, in seconds."""

    header: str | None = None
    field: str | None = None


class Origins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which pages may connect. `{own}` is the service's own origin, from its URL.

    `missing` is the policy for a handshake without Origin, as programs send it.
    """

    allowed: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ("https://attacker.example",)
    missing: Literal["accepted", "refused"] = "accepted"


class EventType(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields of one type of event, beside those every event has."""

    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


class Events(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The schema of events: what subscribers may be sent, and no more.

    `example` is an event the service accepts, as JSON. `inside` is the field of a received
    message the event stands in (dotted; empty: the message is the event). `added` are fields
    the service puts in. `text_fields` carry free text. `control_characters` says what becomes of
    them in texts; None: they may arrive, escaped as JSON demands. `server_types` are message
    types only the service may speak.
    """

    example: Text
    inside: str = ""
    type_field: str = "type"
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    unknown_fields: Literal["refused", "dropped"] | None = None
    text_fields: tuple[str, ...] = ()
    control_characters: Literal["refused", "replaced"] | None = None
    server_types: tuple[str, ...] = ()
    fields: dict[str, Literal["string", "number", "integer", "boolean", "object", "array"]] = {}
    types: dict[str, EventType] = {}


class Tls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the service promises about TLS. `authority` is a PEM file beside the profile."""

    required: bool = False
    minimum_version: Literal["1.2", "1.3"] = "1.2"
    authority: Text | None = None


class Waiver(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A finding somebody answers for until a day. `expires` is the last day it holds."""

    check: Text
    owner: Text
    reason: Text
    expires: date

    def expired(self, today: date) -> bool:
        """Tell whether the waiver no longer holds on `today`."""
        return today > self.expires


class Variant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same service started otherwise: what is added to its start, what it then promises.

    `arguments` follow `start.command`; `{certificate}` and `{key}` are PEM files the harness
    makes. `promises` replace those of the profile one by one. `client_header` is the header in
    which a trusted proxy names the client. With `starts = false` the service must refuse to.
    """

    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    promises: dict[str, Any] = {}
    client_header: Text | None = None
    starts: bool = True


VariantName = Literal["compression", "proxy", "tls", "public"]
