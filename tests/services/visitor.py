"""A client of any service, by its profile alone: what the tests here speak with."""

import base64
import itertools
import json
import math
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from monitor.contract.launch import Launch
from monitor.contract.target import fill

#: Longest a service may take for what it should do at once.
PROMPT_S = 5.0

_numbers = itertools.count(1)


def address() -> str:
    """Return a loopback address nobody has used before."""
    number = next(_numbers)
    return f"127.9.{number // 250}.{number % 250 + 1}"


class Visitor:
    """One connection that was let in."""

    def __init__(self, launch: Launch, connection: ClientConnection) -> None:
        self._target = launch.target
        self.connection = connection

    def say(self, text: str) -> None:
        self.connection.send(text)

    def hear(self, mark: str | None, within_s: float = PROMPT_S) -> str:
        """Return the first message with `mark` in it; others are passed over."""
        deadline = time.monotonic() + within_s
        while True:
            text = self.connection.recv(deadline - time.monotonic())
            assert isinstance(text, str)
            if mark is None or mark in text:
                return text

    def subscribe(self) -> None:
        if self._target.subscribe.message is not None:
            self.say(self._target.subscribe.message)
        if self._target.subscribe.accepted is not None:
            self.hear(self._target.subscribe.accepted)

    def publish(self, mark: str, **fields: object) -> None:
        self.say(publication(self._target.publish.message, self._target, mark, **fields))

    def closed_within(self, seconds: float) -> int | None:
        """Return the code the service closes with in this time, or None."""
        try:
            return self.close_code(seconds)
        except TimeoutError:
            return None

    def close_code(self, within_s: float = PROMPT_S) -> int:
        """Return the code the service closes with; what it says before is passed over."""
        deadline = time.monotonic() + within_s
        try:
            while True:
                self.connection.recv(max(0.0, deadline - time.monotonic()))
        except ConnectionClosed as closed:
            return 1006 if closed.rcvd is None else closed.rcvd.code


def publication(template: str, target: Any, mark: str, **fields: object) -> str:
    """Return a publication of the example event with an identifier and other fields."""
    event = {**json.loads(target.events.example), target.publish.id_field: mark, **fields}
    return fill(template, {"event": json.dumps(event)})


@contextmanager
def visit(
    launch: Launch,
    token: str | None,
    method: str | None = None,
    *,
    source: str | None = None,
    **options: Any,
) -> Iterator[Visitor]:
    """Connect and authenticate.

    Raises:
        InvalidStatus: the handshake was refused.
        ConnectionClosed: the first message was.
    """
    target = launch.target
    shown = target.credentials(token, method)
    options.setdefault("close_timeout", 1)
    options.setdefault("ping_interval", None)
    with connect(
        shown.url,
        additional_headers={**shown.headers, **options.pop("headers", {})},
        source_address=(source or address(), 0),
        compression=None,
        max_size=None,
        **options,
    ) as connection:
        visitor = Visitor(launch, connection)
        if shown.message is not None:
            visitor.say(shown.message)
        if token is not None and target.authentication.accepted is not None:
            visitor.hear(target.authentication.accepted)
        yield visitor


def refusal(launch: Launch, token: str | None, method: str | None = None, **options: Any) -> int:
    """Return the status or the close code that refuses an attempt; 0 if it was let in."""
    try:
        with visit(launch, token, method, **options):
            return 0
    except InvalidStatus as refused:
        return refused.response.status_code
    except ConnectionClosed as closed:
        return 1006 if closed.rcvd is None else closed.rcvd.code


def token(
    launch: Launch, scope: str = "subscribe", subject: str = "tester", lifetime_s: float = 600
) -> str:
    """Sign a token with the service's own key."""
    signing = launch.target.signing
    assert signing is not None
    assert signing.file is not None
    text = Path(launch.filled([signing.file])[0]).read_text()
    named = json.loads(text) if signing.secret else text
    key = _at(named, signing.secret) if signing.secret else text
    now = time.time()
    values = {
        "key_id": _at(named, signing.key_id) if signing.key_id else "",
        "subject": subject,
        "scope": signing.scopes[scope],  # type: ignore[index]
        "id": secrets.token_hex(16),
        "issued_at": str(int(now)),
        "expires_at": str(math.ceil(now + lifetime_s)),
    }
    return jwt.encode(
        json.loads(fill(signing.claims, values)),
        base64.b64decode(key) if signing.encoding == "base64" else key,
        algorithm=signing.algorithm,
        headers=json.loads(fill(signing.headers, values)),
    )


def page(launch: Launch, path: str, bearer: str | None = None) -> tuple[int, str]:
    """Return status and body of a GET."""
    import http.client

    parts = urlsplit(launch.target.url)
    asking = http.client.HTTPConnection(
        parts.hostname or "", parts.port, timeout=PROMPT_S, source_address=(address(), 0)
    )
    asking.request("GET", path, headers={"Authorization": f"Bearer {bearer}"} if bearer else {})
    answer = asking.getresponse()
    body = answer.read().decode()
    asking.close()
    return answer.status, body


def _at(document: Any, path: str) -> str:
    for step in path.split("."):
        document = document[int(step)] if step.isdigit() else document[step]
    return str(document)
