"""One frozen `Settings`, from defaults, then a TOML file, then the environment, then flags.

Flags and environment names are made from the fields: `idle_timeout_s` is `--idle-timeout-s` and
`WSPROOF_IDLE_TIMEOUT_S`. Every error names the key and where its value came from.
"""

import argparse
import difflib
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec

from monitor.contract.documents import convert, read_toml
from monitor.contract.verdicts import UsageError

#: Up to ten years: clocks and timers hold it, and what is not finite they do not.
Seconds = Annotated[float, msgspec.Meta(gt=0, le=10 * 365 * 86_400)]
#: As far as numbers in JSON and floating point are exact.
Count = Annotated[int, msgspec.Meta(ge=1, le=2**53)]


#: Variables of other commands; any other WSPROOF_ name that is no setting is a mistake.
_NOT_SETTINGS = {"WSPROOF_CONFIG", "WSPROOF_MONITOR", "WSPROOF_RUNS", "WSPROOF_TOKEN"}

#: Prefix of what tests and their runners are told; they may start servers with it set.
_TEST_VARIABLE = "WSPROOF_SOAK_"


#: An origin as https://www.rfc-editor.org/rfc/rfc6454#section-6.2 serialises it.
_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?")


def _help(text: str) -> msgspec.Meta:
    return msgspec.Meta(description=text)


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything the server can be told. Durations in seconds, sizes in bytes."""

    host: Annotated[str, _help("address to listen on")] = "localhost"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535), _help("port; 0 takes a free one")] = 4001
    state: Annotated[str, _help("folder of keys, tokens and journal")] = "state"
    allow_origin: Annotated[
        tuple[str, ...], _help("browser origin allowed beside this server's own; repeatable")
    ] = ()
    trusted_proxies: Annotated[
        tuple[str, ...], _help("network whose X-Forwarded-For is believed; repeatable")
    ] = ()
    behind_proxy: Annotated[bool, _help("a proxy in front provides TLS")] = False
    tls_certificate: Annotated[str | None, _help("PEM certificate chain")] = None
    tls_key: Annotated[str | None, _help("PEM private key")] = None
    public_status: Annotated[bool, _help("serve /metrics and /state without a token")] = False

    requests_per_window: Annotated[Count, _help("requests an address has in a window")] = 100
    window_s: Annotated[Seconds, _help("length of that window")] = 60.0
    control_frames_per_window: Annotated[
        Count, _help("pings and unasked pongs of a connection in as long a window")
    ] = 100
    connections_per_address: Annotated[Count, _help("connections an address has at a time")] = 10
    max_connections: Annotated[Count, _help("connections the server has at a time")] = 5_000
    publish_events_per_s: Annotated[Count, _help("events a subject may publish a second")] = 10_000
    failures_per_minute: Annotated[Count, _help("failed authentications of an address")] = 10
    strikes: Annotated[Count, _help("refused messages until the connection is closed")] = 20

    handshake_timeout_s: Annotated[Seconds, _help("until the handshake must be complete")] = 10.0
    authentication_timeout_s: Annotated[Seconds, _help("until `auth` must have come")] = 10.0
    ping_interval_s: Annotated[Seconds, _help("between protocol pings")] = 20.0
    ping_timeout_s: Annotated[Seconds, _help("a peer has to answer one")] = 20.0
    idle_timeout_s: Annotated[Seconds, _help("without message or delivery")] = 300.0
    close_timeout_s: Annotated[Seconds, _help("a peer has to finish a close")] = 5.0
    drain_timeout_s: Annotated[Seconds, _help("connections have to end at shutdown")] = 5.0

    max_message_bytes: Annotated[Count, _help("largest message once authenticated")] = 262_144
    max_fragments: Annotated[Count, _help("most frames one message may come in")] = 64
    compression: Annotated[bool, _help("negotiate inbound compression")] = False
    max_batch_delay_s: Annotated[
        float, msgspec.Meta(ge=0, le=1), _help("longest an event waits for others")
    ] = 0.0
    log_bytes: Annotated[
        int, msgspec.Meta(ge=2**20, le=2**53), _help("bytes of frames the event log holds")
    ] = 4 * 2**20
    journal_events: Annotated[Count, _help("events the journal keeps")] = 1_000_000
    journal_bytes: Annotated[
        int,
        msgspec.Meta(ge=1_000_000),
        _help(
            "bytes of the journal's file in use; it holds more for a moment, and does not shrink"
        ),
    ] = 2**30
    journal_age_s: Annotated[Seconds, _help("age of the oldest event kept")] = 7 * 86_400.0
    synchronous: Annotated[Literal["NORMAL", "FULL"], _help("FULL also survives power loss")] = (
        "NORMAL"
    )
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    event_loop: Annotated[
        Literal["auto", "uvloop", "asyncio"], _help("auto takes uvloop where it is installed")
    ] = "auto"


def load(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[Settings, bool]:
    """Return the settings, and whether only a check of them was asked for (`--check`).

    Raises:
        UsageError: names the key, the source, what was expected and what came.
        SystemExit: `--help` was asked for, or a flag's value is missing (status 2).
    """
    hints = get_type_hints(Settings, include_extras=True)
    parsed, unknown = _parser(hints).parse_known_args(arguments)
    if unknown:
        given = unknown[0].partition("=")[0]
        hint = _resembling(given, ["--config", "--check", *map(_flag, hints)])
        what = "flag" if given.startswith("-") else "argument"
        raise UsageError(f"{what} {given}: no flag of wsproof serve; {hint}")
    flags = vars(parsed)
    check = flags.pop("check")
    config = flags.pop("config")
    if config is None:
        config = environment.get("WSPROOF_CONFIG")
    if config == "":
        raise UsageError("settings file: expected a path in --config or WSPROOF_CONFIG, got ''")
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    _refuse_unknown(environment, [f"WSPROOF_{name.upper()}" for name in hints])
    if config is not None:
        source = f"settings file {config}"
        values = read_toml(Path(config), "settings file")
        convert(values, Settings, source)
        sources = dict.fromkeys(values, source)
    for name in hints:
        variable = f"WSPROOF_{name.upper()}"
        if variable in environment:
            values[name] = _parse(name, hints[name], environment[variable], variable)
            sources[name] = f"environment: {variable}"
        if flags.get(name) is not None:
            values[name] = _parse(name, hints[name], flags[name], f"flag {_flag(name)}")
            sources[name] = f"flag {_flag(name)}"
    settings = convert(values, Settings, "settings")
    _check(settings, lambda key: f"{sources.get(key, 'settings')}: key `{key}`")
    return settings, check


def _parser(hints: Mapping[str, Any]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wsproof serve",
        description="Run the monitor: a WebSocket server that broadcasts pipeline events.",
        epilog="Each flag can also stand in the settings file (its name without dashes, with"
        " underscores) or in the environment (WSPROOF_ and the name in capitals).",
        allow_abbrev=False,
    )
    parser.add_argument("--config", metavar="FILE", help="TOML settings file")
    parser.add_argument("--check", action="store_true", help="check the settings and stop")
    defaults = Settings()
    for name, hint in hints.items():
        default = getattr(defaults, name)
        meta = [m for m in getattr(hint, "__metadata__", ()) if m.description]
        text = meta[0].description if meta else name.replace("_", " ")
        shown = "" if default in (None, ()) else f" (default: {default})"
        if isinstance(default, bool):
            parser.add_argument(_flag(name), action="store_const", const="true", help=text)
        elif isinstance(default, tuple):
            parser.add_argument(_flag(name), action="append", metavar="VALUE", help=text)
        else:
            parser.add_argument(_flag(name), metavar="VALUE", help=text + shown)
    return parser


def _refuse_unknown(environment: Mapping[str, str], known: Sequence[str]) -> None:
    """Refuse a misspelt variable: a limit believed to be set, and not set, helps nobody."""
    for variable in environment:
        ours = variable.startswith("WSPROOF_") and not variable.startswith(_TEST_VARIABLE)
        if ours and variable not in known and variable not in _NOT_SETTINGS:
            hint = _resembling(variable, known, "WSPROOF_")
            raise UsageError(f"environment: {variable} is no setting of the monitor; {hint}")


def _resembling(given: str, known: Sequence[str], prefix: str = "--") -> str:
    """Suggest the known name that resembles what was given; a shared `prefix` counts for none."""
    names = [name.removeprefix(prefix) for name in known]
    close = difflib.get_close_matches(given.removeprefix(prefix), names, n=1)
    return f"did you mean {prefix}{close[0]}?" if close else "see wsproof serve --help for all"


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _parse(name: str, hint: Any, text: str | list[str], source: str) -> Any:
    """Convert flag or environment text to the field's type; lists in one text part at commas."""
    value: Any = text
    if isinstance(getattr(Settings(), name), tuple) and isinstance(text, str):
        value = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return msgspec.convert(value, hint, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(f"{source}: {_expectation(str(error))}, got {text!r}") from error


def _expectation(said: str) -> str:
    """Return what was expected in words of the command line, where everything comes as text."""
    wanted = re.match(r"Expected `(\w+)(?: \| null)?`, got `str`", said)
    words = {"int": "a whole number", "float": "a number", "bool": "true or false"}
    return f"expected {words.get(wanted[1], wanted[1])}" if wanted else said


def _check(settings: Settings, named: Callable[[str], str]) -> None:
    """See that values make sense; `named` says where the one of a key came from."""
    for key in ("state", "tls_certificate", "tls_key"):
        path = getattr(settings, key)
        if path is not None and (not path or "\0" in path):
            raise UsageError(f"{named(key)}: expected a path, got {path!r}")
    for network in settings.trusted_proxies:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise UsageError(
                f"{named('trusted_proxies')}: expected networks such as 10.0.0.0/8: {error}"
            ) from error
    for origin in settings.allow_origin:
        if not _ORIGIN.fullmatch(origin):
            raise UsageError(
                f"{named('allow_origin')}: expected an origin as browsers send it, such as"
                " https://example.org or http://127.0.0.1:8000, in lower case and with nothing"
                f" behind it, got {origin!r}"
            )
    if (settings.tls_certificate is None) != (settings.tls_key is None):
        given = "tls_certificate" if settings.tls_key is None else "tls_key"
        raise UsageError(f"{named(given)}: give `tls_certificate` and `tls_key`, or neither")
    if re.fullmatch(r"[0-9.]+", settings.host) and not _is_address(settings.host):
        raise UsageError(
            f"{named('host')}: expected a name or an address such as 127.0.0.1, got"
            f" {settings.host!r}"
        )
    local = settings.host == "localhost" or _is_loopback(settings.host)
    if not (local or settings.tls_certificate or settings.behind_proxy):
        raise UsageError(
            f"{named('host')}: {settings.host} can be reached from other machines, and tokens"
            " would cross the network in clear text. Give `tls_certificate` and `tls_key`, or"
            " `behind_proxy` if a proxy in front provides TLS"
        )


def _is_loopback(text: str) -> bool:
    """Tell whether it is an address of this machine alone; what a name means may change."""
    return _is_address(text) and ipaddress.ip_address(text).is_loopback


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
