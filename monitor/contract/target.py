"""Loads target profiles and checks that what they say holds together.

A profile is a TOML file: how to reach, authenticate to and speak with a service, and what it
promises. Judges decide nothing about a service by guessing: what the profile does not say, they
do not assume.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from monitor.contract.documents import convert, read_toml
from monitor.contract.profile import (
    Authentication,
    Commands,
    Credentials,
    Keepalive,
    Method,
    Observe,
    Pages,
    Publish,
    Resume,
    Signing,
    Start,
    Subscribe,
    Target,
    TokenKind,
    TokenSource,
    fill,
)
from monitor.contract.promises import Promises, Variant
from monitor.contract.verdicts import UsageError

__all__ = [
    "Authentication",
    "Commands",
    "Credentials",
    "Keepalive",
    "Method",
    "Observe",
    "Pages",
    "Promises",
    "Publish",
    "Resume",
    "Signing",
    "Start",
    "Subscribe",
    "Target",
    "TokenKind",
    "TokenSource",
    "fill",
    "is_address",
    "load_target",
]


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
    for fault in _faults(target):
        raise UsageError(f"{source}: {fault}")
    _check_variants(target)
    return target


def _faults(target: Target) -> Iterator[str]:
    """Yield what does not hold together, each as the key and what to do about it."""
    yield from _of_the_system(target)
    yield from _of_the_address(target)
    yield from _of_templates(target)
    yield from _of_tokens(target)
    yield from _of_promises(target.promises)
    yield from _of_records(target)
    yield from _of_answers(target)
    yield from _of_the_rest(target)


def _of_the_system(target: Target) -> Iterator[str]:
    """What no process can be given: text with a NUL, variables whose name is none."""
    variables = dict(_variables(target))
    for key, named in variables.items():
        if any("=" in name or not name for name in named):
            yield f"key `{key}`: expected names of variables, without `=` and not empty"
    of_variables = ((key, (*named, *named.values())) for key, named in variables.items())
    for key, texts in (*of_variables, *_given_to_the_system(target)):
        if any("\0" in text for text in texts if text is not None):
            yield f"key `{key}`: has a NUL in it, which no command, variable or file can have"


def _varied(target: Target) -> Iterator[tuple[str, Variant]]:
    """Yield the ways in which the service is started otherwise, each with its key."""
    if target.short is not None:
        yield "short", target.short
    for name, variant in target.variants.items():
        yield f"variants.{name}", variant


def _variables(target: Target) -> Iterator[tuple[str, Mapping[str, str]]]:
    if target.start is not None:
        yield "start.environment", target.start.environment
    for key, variant in _varied(target):
        yield f"{key}.environment", variant.environment


def _given_to_the_system(target: Target) -> Iterator[tuple[str, Iterable[str | None]]]:
    """Yield what becomes part of a command, or names a variable or a file."""
    if target.start is not None:
        yield "start.command", target.start.command
    for key, variant in _varied(target):
        yield f"{key}.arguments", variant.arguments
    for kind, source in target.tokens.items():
        yield f"tokens.{kind}.command", source.command or ()
        yield f"tokens.{kind}.environment", (source.environment,)
    if target.signing is not None:
        yield "signing.command", target.signing.command or ()
        yield "signing.environment", (target.signing.environment,)
        yield "signing.file", (target.signing.file,)
    for name in ("revoke", "disable", "enable"):
        yield f"commands.{name}", getattr(target.commands, name) or ()
    yield "observe.pid_file", (target.observe.pid_file,)
    yield "observe.log", (target.observe.log,)
    yield "tls.authority", (target.tls.authority,)
    yield "claims", (target.claims,)


def is_address(url: str) -> bool:
    """Tell whether a URL is one that a WebSocket client can connect to."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"ws", "wss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a host in brackets that is none, or a port out of range
        return False


def _of_the_address(target: Target) -> Iterator[str]:
    if not is_address(target.url):
        yield f"key `url`: expected ws://HOST[:PORT] or wss://HOST[:PORT], got {target.url!r}"
        return
    parts = urlsplit(target.url)
    if target.tls.required and parts.scheme == "ws":
        yield "key `tls.required`: contradicts `url`, which is ws://; write wss://"
    pages = target.pages
    named = {"dashboard": pages.dashboard, "metrics": pages.metrics, "state": pages.state}
    for key, page in (*named.items(), *(("open", page) for page in pages.open)):
        if page is not None and not page.startswith("/"):
            yield f"key `pages.{key}`: expected a path such as /metrics, got {page!r}"


def _of_templates(target: Target) -> Iterator[str]:
    if "message" in target.authentication.methods and target.authentication.message is None:
        yield (
            "key `authentication.message`: missing, though `authentication.methods`"
            " lists 'message'; give the first message, with {token} in it"
        )
    templates = [("publish.message", target.publish.message, "{event}")]
    spelled = target.authentication
    if "message" in spelled.methods and spelled.message is not None:
        templates.append(("authentication.message", spelled.message, "{token}"))
    if "header" in spelled.methods:
        templates.append(("authentication.header_value", spelled.header_value, "{token}"))
    if target.publish.with_token is not None:
        templates += [("publish.with_token", target.publish.with_token, p) for p in _OWN_TOKEN]
    if target.subscribe.filtered is not None:
        templates.append(("subscribe.filtered", target.subscribe.filtered, "{value}"))
        if target.subscribe.filter_field is None:
            yield "key `subscribe.filter_field`: missing, though `subscribe.filtered` is given"
    if target.pages.sign_in is not None:
        templates.append(("pages.sign_in", target.pages.sign_in, "{token}"))
    if target.resume is not None:
        templates.append(("resume.message", target.resume.message, "{offset}"))
        if "{epoch}" in target.resume.message and target.resume.epoch_field is None:
            yield "key `resume.epoch_field`: missing, though `resume.message` has {epoch} in it"
        if target.resume.filtered is not None:
            parts = ("{value}", "{offset}")
            templates += [("resume.filtered", target.resume.filtered, part) for part in parts]
            if target.subscribe.filter_field is None:
                yield "key `subscribe.filter_field`: missing, though `resume.filtered` is given"
    if target.commands.disable is not None:
        templates.append(("commands.disable", " ".join(target.commands.disable), "{subject}"))
    if target.commands.revoke is not None:
        templates.append(("commands.revoke", " ".join(target.commands.revoke), "{token}"))
    for key, template, part in templates:
        if part not in template:
            yield f"key `{key}`: expected a template with {part} in it, got {template!r}"
    if target.events is not None and not _is_object(target.events.example):
        yield f"key `events.example`: expected a JSON object, got {target.events.example!r}"


#: What a publication that carries a token of its own has to have room for.
_OWN_TOKEN = ("{token}", "{event}")


def _of_tokens(target: Target) -> Iterator[str]:
    for kind, source in target.tokens.items():
        if (source.environment is None) == (source.command is None):
            yield f"key `tokens.{kind}`: expected exactly one of `environment`, `command`"
        if kind == "short_lived" and source.lifetime_s is None:
            yield "key `tokens.short_lived.lifetime_s`: missing; say how many seconds it lives"
    signing = target.signing
    if target.authentication.methods and not target.tokens and signing is None:
        yield (
            "key `tokens`: missing, though `authentication.methods` is given; say"
            " where tokens come from"
        )
    if signing is None:
        for kind in ("subscribe", "publish"):
            if target.authentication.methods and target.tokens and kind not in target.tokens:
                yield (
                    f"key `tokens.{kind}`: missing, though `authentication.methods` is given; say"
                    " where such tokens come from"
                )
        return
    given = [signing.environment, signing.command, signing.file]
    if sum(source is not None for source in given) != 1:
        yield "key `signing`: expected exactly one of `environment`, `command`, `file`"
    for key, template in (("headers", signing.headers), ("claims", signing.claims)):
        if not _is_object(fill(template, _IN_TOKENS)):
            yield (
                f"key `signing.{key}`: expected a JSON object once its parts are filled in, got"
                f" {template!r}"
            )
    for key in ("exp", "sub"):
        if f'"{key}"' not in signing.claims:
            yield f"key `signing.claims`: expected a JSON object with `{key}` in it"


#: Values for the parts of the templates of `signing`, to see what they become.
_IN_TOKENS = {
    "key_id": "k",
    "subject": "s",
    "scope": "s",
    "id": "i",
    "issued_at": "1",
    "expires_at": "2",
}


#: What a line of the log says of whom it is about.
_WHO = ("{client}", "{subject}")

#: Promises of which the first has a meaning only up to the second.
_ORDERED = (
    ("connections_per_address", "max_connections"),
    ("idle_timeout_s", "connection_lifetime_s"),
)


def _of_promises(limits: Promises) -> Iterator[str]:
    """Contradictory limits, and promises that say nothing, alone or without another."""
    for name, promised in msgspec.structs.asdict(limits).items():
        if isinstance(promised, float) and not math.isfinite(promised):
            yield (
                f"key `promises.{name}`: expected a finite number of seconds, got {promised};"
                " leave it out where nothing is promised"
            )
    if (limits.ping_interval_s is None) != (limits.ping_answer_deadline_s is None):
        yield (
            "keys `promises.ping_interval_s`, `promises.ping_answer_deadline_s`: one says"
            " nothing without the other; give both or neither"
        )
    for smaller, larger in _ORDERED:
        low, high = getattr(limits, smaller), getattr(limits, larger)
        if low is not None and high is not None and low > high:
            yield (
                f"key `promises.{smaller}`: contradictory: {low:g} is never reached,"
                f" because `promises.{larger}` is {high:g}; lower the one or raise the other"
            )
    for key in ("idle_timeout_s", "authentication_deadline_s", "handshake_deadline_s"):
        deadline = getattr(limits, key)
        if deadline is not None and limits.tolerance_s >= deadline:
            yield (
                f"key `promises.tolerance_s`: contradictory: {limits.tolerance_s:g} s is not"
                f" less than `promises.{key}`, {deadline:g} s, which it would make meaningless"
            )


def _of_records(target: Target) -> Iterator[str]:
    for name, record in target.records.items():
        if record.log is None and record.counter is None:
            yield f"key `records.{name}`: expected `log`, `counter` or both"
        if record.log is not None and not any(who in record.log for who in _WHO):
            yield (
                f"key `records.{name}.log`: expected a template with {{client}} or {{subject}} in"
                f" it, got {record.log!r}: a line that does not say who cannot be told from others"
            )
        if record.counter is not None and target.pages.metrics is None:
            yield f"key `records.{name}.counter`: needs `pages.metrics`, the page it stands on"


def _of_answers(target: Target) -> Iterator[str]:
    for name, answer in target.answers.items():
        if not (answer.status or answer.close or answer.error):
            yield (
                f"key `answers.{name}`: expected `status`, `close` or `error`: nothing can satisfy"
                " it as it is; leave it out where any refusal will do"
            )


def _of_the_rest(target: Target) -> Iterator[str]:
    both = sorted(set(target.origins.allowed) & set(target.origins.foreign))
    if both:
        yield f"key `origins.foreign`: contradictory: {both[0]!r} is allowed, too"
    for key, reason in target.declined.items():
        if not reason.strip():
            yield f"key `declined.{key}`: expected the reason, got an empty text"
    for number, waiver in enumerate(target.waivers):
        for name in ("owner", "reason"):
            if not getattr(waiver, name).strip():
                yield f"key `waivers[{number}].{name}`: expected words, got an empty text"
        if waiver.check in {other.check for other in target.waivers[:number]}:
            yield f"key `waivers`: contradictory: {waiver.check} is waived twice; keep one"
        if waiver.check in target.declined:
            yield f"key `waivers`: contradictory: {waiver.check} is declined, too; keep one"
    if target.start is None and (target.short is not None or target.variants):
        key = "short" if target.short is not None else "variants"
        yield f"key `{key}`: needs a `[start]` table, whose command it adds to"


def _check_variants(target: Target) -> None:
    """See that what a variant promises is well-formed and no contradiction, either."""
    varied = {"short": target.shortened()} if target.short is not None else {}
    for name in target.variants:
        other = target.variant(name)
        if other is not None:
            varied[f"variants.{name}"] = other
    for key, other in varied.items():
        for fault in _of_promises(other.promises):
            raise UsageError(f"target profile {target.path}: table `{key}`: {fault}")


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
