"""A target profile as frozen structs: how a service is started, spoken with and watched.

One struct for each table of the TOML file, and `Target` around them all; what the service
promises stands in `promises`. Templates are filled in by `fill`; marks are texts looked for in
what the service sends.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import quote, urlsplit

import msgspec

from monitor.contract.documents import convert
from monitor.contract.promises import (
    Answer,
    Count,
    Events,
    Origins,
    Positive,
    Promises,
    Record,
    Recorded,
    RetryAfter,
    Situation,
    Text,
    Tls,
    Variant,
    VariantName,
    Waiver,
)
from monitor.contract.verdicts import UsageError

Command = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
Method = Literal["query", "header", "message"]
TokenKind = Literal[
    "subscribe",
    "publish",
    "admin",
    "short_lived",
    "expired",
    "revoked",
    "other_scope",
    "other_subject",
]


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the harness starts the service. Without this table the service must be running.

    In `command`, `{python}` is this interpreter, `{state}` a fresh folder removed afterwards,
    `{folder}` the profile's own folder, `{port}` the port it had before if it is restarted and 0
    (take a free one) otherwise. With `ready = "json-url"` the first line on stdout is a
    JSON object whose `url` is the address; with `ready = "connect"` the service is ready once
    `url` accepts a connection.
    """

    command: Command
    ready: Literal["json-url", "connect"] = "json-url"
    ready_timeout_s: Positive = 15.0
    stop_timeout_s: Positive = 10.0
    environment: dict[str, str] = {}


class Authentication(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How each way of authenticating is spelled; `{token}` stands for the token.

    `accepted` is text found in the first message after success; without it a service is taken
    to have accepted once the handshake is done. `invited` is text of what the service says while
    it waits for the first message. `again` tells what a further authentication message with a
    fresh token of the same subject does; None: the service promises nothing about it.
    """

    methods: tuple[Method, ...] = ()
    query_parameter: str = "token"
    header_name: str = "Authorization"
    header_value: str = "Bearer {token}"
    message: str | None = None
    accepted: str | None = None
    invited: Text | None = None
    again: Literal["renews", "refused"] | None = None


class TokenSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one kind of token comes from: an environment variable, or a command's stdout.

    In `command`, `{python}`, `{state}` and `{folder}` are as in `Start`. A token that ends by
    itself says when: `lifetime_s` after it was obtained. `subject` is whom it speaks for.
    """

    environment: str | None = None
    command: Command | None = None
    lifetime_s: Positive | None = None
    subject: Text | None = None


class Signing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The service's own signing key, for judges that sign tokens themselves (RFC 7515).

    The key's text comes from exactly one of `environment`, `command` and `file`. Where that text
    is JSON, `secret` and `key_id` say where in it (`keys.0.secret`). `headers` and `claims` are
    JSON templates over `{key_id}`, `{subject}`, `{scope}`, `{id}` (fresh for each token),
    `{issued_at}` and `{expires_at}` (Unix seconds); `scopes` spells a token's kind in `{scope}`.
    """

    claims: str
    environment: str | None = None
    command: Command | None = None
    file: str | None = None
    algorithm: Literal["HS256", "HS384", "HS512"] = "HS256"
    encoding: Literal["utf-8", "hex", "base64", "base64url"] = "utf-8"
    secret: Text | None = None
    key_id: Text | None = None
    headers: str = '{"alg":"HS256","typ":"JWT"}'
    scopes: dict[Literal["subscribe", "publish", "admin"], str] = {}


class Commands(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Commands that take rights away while the service runs.

    `{token}` or `{subject}` is filled in, and `{python}`, `{state}`, `{folder}` as in `Start`.
    """

    revoke: Command | None = None
    disable: Command | None = None
    enable: Command | None = None


class Publish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an event is published, and how it is recognised on arrival.

    In `message`, `{event}` is the event as a JSON object. The harness puts a text of its own,
    `wsp-<run>-<number>`, into the event's `id_field` and looks for it in what subscribers
    receive, so the service must pass that field through. `acknowledged` and `refused` are texts
    in the answers to a publication; `thinned` is text in a notice that events were left out,
    with the number of them under `thinned_count`, and the first and the last offset it speaks of
    under `thinned_from` and `thinned_to`. `with_token` is the same message with a
    `{token}` of its own. Up to `batch_events` events, joined by commas, may stand for `{event}`.
    """

    message: str
    id_field: str = "id"
    acknowledged: str | None = None
    refused: str | None = None
    thinned: str | None = None
    thinned_count: str = "omitted"
    thinned_from: Text | None = None
    thinned_to: Text | None = None
    with_token: Text | None = None
    batch_events: Count = 1


class Subscribe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends after authentication to receive events, and the answer's mark.

    Without `message`, a client that is connected and authenticated is subscribed. `filtered`
    asks only for events whose `filter_field` is `{value}`. `stop` ends a subscription,
    `stopped` marks the answer. `silent_query` in the URL keeps a client silent until it asks.
    """

    message: str | None = None
    accepted: str | None = None
    filtered: Text | None = None
    filter_field: Text | None = None
    stop: Text | None = None
    stopped: Text | None = None
    silent_query: Text | None = None


class Resume(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a client that was away asks for what it missed.

    `message` is a subscription with `{offset}` and, where the service has epochs, `{epoch}`: the
    values last seen under `offset_field` in an event and under `epoch_field` in the answer to a
    subscription. `recovered` marks the answer that nothing is missing, `lost` that something is.
    `filtered` is the same subscription to events whose `subscribe.filter_field` is `{value}`.
    """

    message: Text
    recovered: Text
    lost: Text | None = None
    filtered: Text | None = None
    offset_field: Text = "offset"
    epoch_field: Text | None = None


class Keepalive(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An application message that asks for an answer, and the answer's mark.

    `reference` is a field a client may add to a message to find its text in the answer.
    """

    message: Text
    answer: Text
    reference: Text | None = None


class Pages(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Paths the service answers over HTTP on the same port.

    `open` need no token; `metrics` and `state` need one of kind `admin` unless they are among
    the open ones. `uncounted` are left out of the request window. `sign_in` is what follows the
    dashboard's address to sign in, with `{token}` in it.
    """

    open: tuple[str, ...] = ()
    uncounted: tuple[str, ...] = ()
    dashboard: str | None = None
    sign_in: Text | None = None
    metrics: str | None = None
    state: str | None = None


class Observe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to watch: the process, if the harness did not start it itself, and the log.

    `log` is a file (`{state}` and `{folder}` as in `Start`); without it, what a started service
    writes to stderr.
    """

    pid: int | None = None
    pid_file: str | None = None
    log: Text | None = None


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One service, as its profile describes it.

    `path` and `claims_path` are filled in by `load_target`.
    """

    name: str
    url: str
    publish: Publish
    format: Literal[1] = 1
    claims: str | None = None
    start: Start | None = None
    authentication: Authentication = Authentication()
    tokens: dict[TokenKind, TokenSource] = {}
    signing: Signing | None = None
    commands: Commands = Commands()
    subscribe: Subscribe = Subscribe()
    resume: Resume | None = None
    keepalive: Keepalive | None = None
    events: Events | None = None
    origins: Origins = Origins()
    pages: Pages = Pages()
    promises: Promises = Promises()
    answers: dict[Situation, Answer] = {}
    records: dict[Recorded, Record] = {}
    retry_after: RetryAfter = RetryAfter()
    tls: Tls = Tls()
    objectives: tuple[str, ...] = ()
    observe: Observe = Observe()
    short: Variant | None = None
    variants: dict[VariantName, Variant] = {}
    declined: dict[str, str] = {}
    waivers: tuple[Waiver, ...] = ()
    path: Path = Path()

    @property
    def claims_path(self) -> Path | None:
        """The claims document this profile names, resolved beside the profile."""
        return None if self.claims is None else self.path.parent / self.claims

    def at(self, url: str) -> Self:
        """Return this target at another URL (the port a started service took)."""
        return msgspec.structs.replace(self, url=url)

    def shortened(self) -> Self:
        """Return this target with its durations shortened, where its profile says how."""
        return self if self.short is None else self._varied(self.short, "short")

    def variant(self, name: VariantName) -> Self | None:
        """Return this target started as the named variant, or None if it has none."""
        varied = self.variants.get(name)
        return None if varied is None else self._varied(varied, f"variants.{name}")

    def _varied(self, variant: Variant, key: str) -> Self:
        """Return this target with a variant's start and promises.

        Raises:
            UsageError: a promise of the variant is unknown or of the wrong type.
        """
        assert self.start is not None  # noqa: S101 - load_target checked it
        start = msgspec.structs.replace(
            self.start,
            command=(*self.start.command, *variant.arguments),
            environment={**self.start.environment, **variant.environment},
        )
        promised = {**msgspec.to_builtins(self.promises), **variant.promises}
        source = f"target profile {self.path}: table `{key}.promises`"
        promises = convert(promised, Promises, source)
        return msgspec.structs.replace(self, start=start, promises=promises)

    def credentials(self, token: str | None, method: Method | None = None) -> "Credentials":
        """Spell `token` for this service: URL, headers and first message.

        Without `method`, the first of the profile's methods is used.

        Raises:
            UsageError: the profile declares methods but not this one.
        """
        spelled = self.authentication
        if token is None or not spelled.methods:
            return Credentials(self.url, {}, None)
        chosen = method or spelled.methods[0]
        if chosen not in spelled.methods:
            raise UsageError(
                f"target profile {self.path}: authentication method {chosen!r} is not among its"
                f" `authentication.methods` ({', '.join(spelled.methods)})"
            )
        match chosen:
            case "query":
                joint = "&" if urlsplit(self.url).query else "?"
                query = f"{joint}{spelled.query_parameter}={quote(token, safe='')}"
                return Credentials(self.url + query, {}, None)
            case "header":
                value = fill(spelled.header_value, {"token": token})
                return Credentials(self.url, {spelled.header_name: value}, None)
            case "message":
                assert spelled.message is not None  # noqa: S101 - load_target checked it
                return Credentials(self.url, {}, fill(spelled.message, {"token": token}))


class Credentials(msgspec.Struct, frozen=True):
    """What one client presents: the URL to connect to, extra headers, and a first message."""

    url: str
    headers: dict[str, str]
    message: str | None


def fill(template: str, values: Mapping[str, str]) -> str:
    """Replace each `{name}` of `values` in `template`; other braces (JSON's) stay."""
    for name, value in values.items():
        template = template.replace("{" + name + "}", value)
    return template
