"""Target profiles: how to reach, authenticate to and speak with a service, and what it promises.

A profile is a TOML file. Judges decide nothing about a service by guessing: what the profile
does not say, they do not assume.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import quote, urlsplit

import msgspec

from monitor.contract.documents import convert, read_toml
from monitor.contract.verdicts import UsageError

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Method = Literal["query", "header", "message"]


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the harness starts the service. Without this table the service must be running.

    In `command`, `{python}` is this interpreter, `{state}` a fresh folder removed afterwards.
    With `ready = "json-url"` the first line on stdout is a JSON object whose `url` is the
    address; with `ready = "connect"` the service is ready once `url` accepts a connection.
    """

    command: tuple[str, ...]
    ready: Literal["json-url", "connect"] = "json-url"
    ready_timeout_s: Positive = 15.0
    stop_timeout_s: Positive = 10.0
    environment: dict[str, str] = {}


class Authentication(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How each way of authenticating is spelled; `{token}` stands for the token.

    `accepted` is text found in the first message after success; without it a service is taken
    to have accepted once the handshake is done.
    """

    methods: tuple[Method, ...] = ()
    query_parameter: str = "token"
    header_name: str = "Authorization"
    header_value: str = "Bearer {token}"
    message: str | None = None
    accepted: str | None = None


class TokenSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one kind of token comes from: an environment variable, or a command's stdout.

    In `command`, `{python}` and `{state}` are as in `Start`.
    """

    environment: str | None = None
    command: tuple[str, ...] | None = None


class Publish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an event is published, and how it is recognised on arrival.

    In `message`, `{event}` is the event as a JSON object. The harness puts a text of its own,
    `wsp-<run>-<number>`, into the event's `id_field` and looks for it in what subscribers
    receive, so the service must pass that field through. `acknowledged` and `refused` are texts
    in the answers to a publication; `thinned` is text in a notice that events were left out,
    with the number of them under `thinned_count`.
    """

    message: str
    id_field: str = "id"
    acknowledged: str | None = None
    refused: str | None = None
    thinned: str | None = None
    thinned_count: str = "omitted"


class Subscribe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends after authentication to receive events, and the answer's mark.

    Without `message`, a client that is connected and authenticated is subscribed.
    """

    message: str | None = None
    accepted: str | None = None


class Promises(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the service promises; None where it promises nothing."""

    requests_per_window: Count | None = None
    window_s: Positive = 60.0
    connections_per_address: Count | None = None
    publish_events_per_s: Count | None = None
    authentication_deadline_s: Positive | None = None
    idle_timeout_s: Positive | None = None


class Observe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which processes to watch when the harness did not start the service itself."""

    pid: int | None = None
    pid_file: str | None = None


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
    tokens: dict[Literal["subscribe", "publish"], TokenSource] = {}
    subscribe: Subscribe = Subscribe()
    promises: Promises = Promises()
    observe: Observe = Observe()
    path: Path = Path()

    @property
    def claims_path(self) -> Path | None:
        """The claims document this profile names, resolved beside the profile."""
        return None if self.claims is None else self.path.parent / self.claims

    def at(self, url: str) -> Self:
        """Return this target at another URL (the port a started service took)."""
        return msgspec.structs.replace(self, url=url)

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


def load_target(path: Path) -> Target:
    """Load and check a profile.

    Raises:
        UsageError: names the file, the key, what was expected and what to do.
    """
    source = f"target profile {path}"
    table = read_toml(path, "target profile")
    if "path" in table:
        raise UsageError(f"{source}: unknown key `path`; remove it")
    target = msgspec.structs.replace(convert(table, Target, source), path=path.resolve())
    _check(target, source)
    return target


def fill(template: str, values: Mapping[str, str]) -> str:
    """Replace each `{name}` of `values` in `template`; other braces (JSON's) stay."""
    for name, value in values.items():
        template = template.replace("{" + name + "}", value)
    return template


def _check(target: Target, source: str) -> None:
    parts = urlsplit(target.url)
    if parts.scheme not in {"ws", "wss"} or not parts.hostname:
        raise UsageError(
            f"{source}: key `url`: expected ws://HOST or wss://HOST, got {target.url!r}"
        )
    if "{event}" not in target.publish.message:
        raise UsageError(
            f"{source}: key `publish.message`: expected a template with {{event}} in it,"
            f" got {target.publish.message!r}"
        )
    if "message" in target.authentication.methods and target.authentication.message is None:
        raise UsageError(
            f"{source}: key `authentication.message`: missing, though `authentication.methods`"
            " lists 'message'; give the first message, with {token} in it"
        )
    for kind, source_of in target.tokens.items():
        if (source_of.environment is None) == (source_of.command is None):
            raise UsageError(
                f"{source}: key `tokens.{kind}`: expected exactly one of `environment`, `command`"
            )
    if target.authentication.methods and not target.tokens:
        raise UsageError(
            f"{source}: key `tokens`: missing, though `authentication.methods` is given; say"
            " where tokens come from"
        )
