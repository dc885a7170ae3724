"""Every field of a request, a token, an event or a message that a client fills in as it likes."""

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import quote

import msgspec

from monitor.contract.profile import TokenKind
from monitor.contract.target import fill
from securitytests.bench import Bench
from securitytests.catalogue.authentication.presenting import on_the_wire
from securitytests.catalogue.leaks.plants import Plant
from securitytests.judging import Attempt
from securitytests.probe import jws
from securitytests.probe.client import event_of, event_with, publication
from securitytests.probe.http import Request
from securitytests.probe.peer import ENDS

#: Sends one plant through a field; returns what was answered.
Send = Callable[[Plant], Awaitable[list[str]]]

#: How long a client is watched for the answer to what it sent.
_ANSWER_S = 0.3

_HEADERS = (
    *("User-Agent", "Host", "Origin", "Referer", "Cookie"),
    *("X-Forwarded-For", "Sec-WebSocket-Protocol"),
)


def every_field(bench: Bench) -> Iterator[tuple[str, Send]]:
    """Yield every field by name, with what sends a plant through it."""
    yield from _of_requests(bench)
    yield from _of_tokens(bench)
    yield from _of_events(bench)
    yield from _of_messages(bench)


def _of_requests(bench: Bench) -> Iterator[tuple[str, Send]]:
    """Yield the parts of a request, the ways of showing a token among them."""

    async def ask(request: Request) -> list[str]:
        answer = await bench.ask(request)
        body = b"" if answer.response is None else answer.response.body
        return [body.decode("utf-8", "replace")]

    def shaped(shape: Callable[[Request, Plant], Request], path: str | None = None) -> Send:
        good = bench.handshake_request() if path is None else bench.page_request(path)
        return lambda plant: ask(shape(good, plant))

    def aimed(target: Callable[[Request, Plant], str], path: str | None) -> Send:
        replace = msgspec.structs.replace
        return shaped(lambda good, plant: replace(good, target=target(good, plant)), path)

    yield (
        "method",
        shaped(lambda good, one: msgspec.structs.replace(good, method=f"GET{one.in_http}")),
    )
    for kind, path in (("handshake", None), ("page", "/")):
        yield f"path of a {kind}", aimed(lambda _, one: f"/{one.in_http}", path)
        yield (
            f"percent-encoded path of a {kind}",
            aimed(lambda _, one: f"/{quote(one.text, safe='')}", path),
        )
        yield f"query of a {kind}", aimed(lambda good, one: f"{good.target}?{one.in_http}", path)
        yield (
            f"percent-encoded query of a {kind}",
            aimed(lambda good, one: f"{good.target}?{quote(one.text)}={quote(one.text)}", path),
        )

    def header(name: str) -> Send:
        return shaped(lambda good, one: good.with_header(name, one.in_http))

    for name in _HEADERS:
        yield name, header(name)
    spelled = bench.target.authentication
    if "header" in spelled.methods:
        yield (
            "token in the header",
            shaped(
                lambda good, one: good.with_header(
                    spelled.header_name, fill(spelled.header_value, {"token": one.in_http})
                )
            ),
        )
    if "query" in spelled.methods:
        yield (
            "token in the URL",
            lambda plant: ask(bench.handshake_request(bench.credentials(plant.text, "query"))),
        )


def _of_tokens(bench: Bench) -> Iterator[tuple[str, Send]]:
    """Yield the first message, and what stands inside a signed token."""
    methods = bench.target.authentication.methods
    if "message" in methods:

        async def first_message(plant: Plant) -> list[str]:
            token = on_the_wire(plant.text, "message")
            return _said(await bench.attempt(token, "message", watch_s=_ANSWER_S))

        yield "token in the first message", first_message
    if not bench.server.tokens.can_sign:
        return

    def signed(part: str, name: str) -> Send:
        async def send(plant: Plant) -> list[str]:
            key, good = await bench.server.tokens.key(), await bench.signed()
            parts = {"header": good.header, "claims": good.claims}
            parts[part] = {**parts[part], name: plant.text}
            token = jws.sign(parts["header"], parts["claims"], key.secret, key.algorithm)
            return _said(await bench.attempt(token, methods[0], watch_s=_ANSWER_S))

        return send

    for claim in ("sub", "jti", "iss"):
        yield f"claim {claim} of a token", signed("claims", claim)
    yield "key id of a token", signed("header", "kid")


def _said(attempt: Attempt) -> list[str]:
    response, ending = attempt.handshake.response, attempt.ending
    body = "" if response is None else response.body.decode("utf-8", "replace")
    return [*attempt.texts, body, "" if ending is None else ending.reason]


def _of_events(bench: Bench) -> Iterator[tuple[str, Send]]:
    """Yield the fields of events, and a field of the client's own name."""
    target, schema = bench.target, bench.target.events
    example = event_of(target, "")
    texts = [name for name, value in example.items() if isinstance(value, str)]

    def publishing(event: Callable[[Plant], dict[str, Any]]) -> Send:
        return lambda one: _say(bench, "publish", publication(target, event(one)))

    def field(name: str) -> Send:
        return publishing(lambda one: event_with(target, bench.mark(), name, one.text))

    for name in dict.fromkeys([*texts, *(() if schema is None else schema.text_fields)]):
        yield f"event field {name}", field(name)
    yield "name of an event field", publishing(lambda one: {**bench.event(), one.text: 1})


def _of_messages(bench: Bench) -> Iterator[tuple[str, Send]]:
    """Yield the texts of a client's messages, a reference, and the reason of its close."""
    target = bench.target
    resume, keepalive = target.resume, target.keepalive
    templates = {
        "keep-alive": None if keepalive is None else keepalive.message,
        "subscription": target.subscribe.filtered,
        "resumption": None if resume is None else fill(resume.message, {"offset": "0"}),
    }

    def saying(message: dict[str, Any], name: str) -> Send:
        return lambda one: _say(bench, "subscribe", json.dumps({**message, name: one.text}))

    for which, template in templates.items():
        message = None if template is None else _object(template)
        for name in message or ():
            yield f"{which} field {name}", saying(message or {}, name)
    if keepalive is not None and keepalive.reference is not None:
        message = _object(keepalive.message) or {}
        yield "reference of a message", saying(message, keepalive.reference)

    async def close(plant: Plant) -> list[str]:
        client = await bench.client("publish")
        await client.peer.send_close(1000, plant.text.encode())
        await client.peer.until_end(_ANSWER_S)
        return []  # a close may be echoed as it came (RFC 6455 section 5.5.1)

    yield "reason of a close", close


def _object(text: str) -> dict[str, Any] | None:
    """Return a message as a JSON object; None if it is none."""
    try:
        message = json.loads(text)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


async def _say(bench: Bench, kind: TokenKind, text: str) -> list[str]:
    """Say one thing on a connection of its own; return the answer."""
    client = await bench.client(kind)
    await client.peer.send_text(text)
    heard = await client.peer.receive(_ANSWER_S)
    while heard.kind in {"ping", "pong"}:
        heard = await client.peer.receive(_ANSWER_S)
    client.peer.stream.close()
    return [heard.text] if heard.kind == "text" or heard.kind in ENDS else []
