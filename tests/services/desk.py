"""What the Python services here do with a client, whatever library carries the bytes.

A service asks `enter` about each handshake and `answer` about each page, hands every message to
`hear`, and sends what `Client.next` yields until it is a `Farewell`. The words and numbers of
each service stand in its `Dialect`.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.services.client import GONE, Client, Farewell
from tests.services.rules import Grant, Slots, Tokens, Window, clean, read

SWEEP_S = 0.05
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Dialect:
    """How one service spells things: the word that names a message, codes and statuses."""

    word: str
    unauthenticated_status: int
    unauthorized: int
    forbidden: int
    bad_message: int
    deadline: int
    limited: int
    strikes: int
    asks_to_subscribe: bool
    envelope: str | None = None


class Refused(Exception):  # noqa: N818 - a decision, no error
    """A handshake or a page is refused with this status."""

    def __init__(self, status: int, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = dict(SECURITY_HEADERS)
        if retry_after_s > 0:
            self.headers["Retry-After"] = str(int(retry_after_s) + 1)
        self.body = json.dumps({"status": status, "title": reason}) + "\n"


class Desk:
    """One service's decisions."""

    def __init__(self, options: argparse.Namespace, tokens: Tokens, dialect: Dialect) -> None:
        self.options = options
        self.dialect = dialect
        self._tokens = tokens
        self._requests = Window(options.requests, options.window_s)
        self._failures = Window(options.failures, 60.0)
        self._quota = Window(options.events_per_s, 1.0)
        self._slots = Slots(options.connections)
        self._clients: set[Client] = set()
        self._refusals: Counter[str] = Counter()
        self._evictions: Counter[str] = Counter()
        self._origins: set[str] = set()

    def at(self, port: int) -> None:
        """Serve here: tell whoever started the service, and admit pages of this origin."""
        self._origins = {f"http://{host}:{port}" for host in ("127.0.0.1", "localhost")}
        self._origin_hosts = {origin.removeprefix("http://") for origin in self._origins}
        print(json.dumps({"url": f"ws://127.0.0.1:{port}/live"}), flush=True)

    def enter(
        self,
        address: str,
        host: str,
        origins: Sequence[str],
        tokens: Sequence[str],
        abort: Callable[[], object],
    ) -> Client:
        """Admit a handshake, with the tokens of its URL and its headers.

        `abort` drops the connection at once; it is for peers that do not go when told to.

        Raises:
            Refused: with the status it is to be answered.
        """
        wait = self._requests.hit(address)
        if len(origins) > 1 or not self._origins.issuperset(origins):
            raise self._refusal(address, 403, "origin")
        if origins and host not in self._origin_hosts:
            raise self._refusal(address, 403, "origin")
        if wait > 0:
            raise self._refusal(address, 429, "requests", wait)
        grant = self._granted(address, tokens) if tokens else None
        if not self._slots.take(address):
            raise self._refusal(address, 429, "connections", 1.0)
        client = Client(address, abort)
        self._clients.add(client)
        if grant is not None:
            self._welcome(client, grant)
        return client

    def leave(self, client: Client) -> None:
        """Take back what the client holds."""
        if client in self._clients:
            self._clients.discard(client)
            self._slots.give(client.address)

    def page(self, address: str, path: str, bearer: Sequence[str]) -> str:
        """Return the body of a page.

        Raises:
            Refused: with the status it is to be answered.
        """
        if path == "/healthz":
            return "ok\n"
        wait = self._requests.hit(address)
        if wait > 0:
            raise self._refusal(address, 429, "requests", wait)
        if path == "/":
            return "live\n"
        if path != "/metrics":
            raise Refused(404, "no such page")
        if "admin" not in self._granted(address, bearer).scopes:
            raise self._refusal(address, 403, "forbidden")
        lines = [f'refusals_total{{reason="{why}"}} {n}\n' for why, n in self._refusals.items()]
        lines += [f'evictions_total{{reason="{why}"}} {n}\n' for why, n in self._evictions.items()]
        return f"connections {len(self._clients)}\n" + "".join(lines)

    def hear(self, client: Client, text: str | bytes) -> None:
        """Handle one message."""
        dialect = self.dialect
        if client.ended is not None:
            return
        client.active = time.monotonic()
        if isinstance(text, bytes):
            client.end(dialect.bad_message, "text is spoken here")
            return
        try:
            message = read(text)
        except ValueError:
            message = {}
        kind = message.pop(dialect.word, None)
        grant = client.grant
        if kind == "publish" and grant is not None and "publish" in grant.scopes:
            wait = 0.0  # publications have a quota of their own
        else:
            wait = self._requests.hit(client.address)
        if wait > 0:
            self._strike(client, "requests", wait)
        elif grant is None:
            self._authenticate(client, kind, message)
        elif not self._tokens.holds(grant):
            self._evict(client, dialect.unauthorized, "token no longer valid")
        else:
            self._obey(client, grant, kind, message)

    def drain(self) -> None:
        """Say farewell to everyone."""
        for client in self._clients:
            client.say({self.dialect.word: "shutdown"})
            client.end(1001, "shutting down")

    async def sweep(self) -> None:
        """See that deadlines are kept and rights are still there, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self._tokens.poll()
            self._requests.sweep()
            for client in list(self._clients):
                self._check(client, time.monotonic())

    def _check(self, client: Client, now: float) -> None:
        options, codes = self.options, self.dialect
        if client.ended is not None:
            if now - client.ended >= options.close_s:
                client.abort()
        elif client.grant is None:
            if now - client.opened >= options.authentication_s:
                self._evict(client, codes.deadline, "authenticate in time")
        elif not self._tokens.holds(client.grant):
            self._evict(client, codes.unauthorized, "token no longer valid")
        elif now - client.active >= options.idle_s:
            self._evict(client, codes.deadline, "idle")

    def _authenticate(self, client: Client, kind: object, message: Mapping[str, object]) -> None:
        token = message.get("token")
        if kind != "auth" or message.keys() != {"token"}:
            token = None
        grant = self._tokens.verify(token)
        if grant is None:
            self._turn_away(client)
        else:
            self._welcome(client, grant)

    def _turn_away(self, client: Client) -> None:
        self._note(client.address, "authentication")
        if self._failures.hit(client.address) > 0:
            client.end(self.dialect.limited, "too many attempts")
        else:
            client.end(self.dialect.unauthorized, "authentication failed")

    def _obey(self, client: Client, grant: Grant, kind: object, message: dict[str, object]) -> None:
        own = message.pop("token", None) if kind != "auth" else None
        if own is not None:
            other = self._tokens.verify(own)
            if other is None:
                self._turn_away(client)
                return
            if other.subject != grant.subject:
                client.end(self.dialect.forbidden, "another subject")
                return
        match kind, message:
            case "auth", {"token": token} if len(message) == 1:
                self._renew(client, grant, token)
            case "ping", {} if not message:
                client.say({self.dialect.word: "pong"})
            case "subscribe", {} if message.keys() <= {"phases"}:
                self._subscribe(client, grant, message.get("phases"))
            case "publish", {"event": event} if len(message) == 1:
                self._publish(client, grant, event)
            case _:
                self._complain(client, "bad_message")

    def _renew(self, client: Client, grant: Grant, token: object) -> None:
        fresh = self._tokens.verify(token)
        if fresh is None:
            self._turn_away(client)
        elif fresh.subject != grant.subject:
            client.end(self.dialect.forbidden, "another subject")
        else:
            client.grant = fresh
            client.say({self.dialect.word: "welcome", "subject": fresh.subject})

    def _subscribe(self, client: Client, grant: Grant, phases: object) -> None:
        if "subscribe" not in grant.scopes:
            self._complain(client, "forbidden")
        elif phases is None or (isinstance(phases, list) and all(map(_is_name, phases))):
            client.phases = None if phases is None else frozenset(phases)
            client.listening = True
            client.say({self.dialect.word: "subscribed"})
        else:
            self._complain(client, "bad_message")

    def _publish(self, client: Client, grant: Grant, event: object) -> None:
        if "publish" not in grant.scopes:
            self._complain(client, "forbidden")
            return
        try:
            passed_on = clean(event)
        except ValueError:
            wait = self._requests.hit(client.address)
            if wait > 0:
                self._strike(client, "requests", wait)
            else:
                self._complain(client, "bad_event")
            return
        wait = self._quota.hit(grant.subject)
        if wait > 0:
            self._strike(client, "quota", wait)
            return
        if self.dialect.envelope is not None:
            shown = {self.dialect.word: "event", self.dialect.envelope: passed_on}
            text = json.dumps(shown)
        else:
            text = json.dumps({**passed_on, self.dialect.word: "event"})
        self._deliver(text, passed_on.get("phase"))
        client.say({self.dialect.word: "stored"})

    def _deliver(self, text: str, phase: object) -> None:
        for client in self._clients:
            if not client.listening or client.grant is None:
                continue
            if client.phases is not None and phase not in client.phases:
                continue
            if self._tokens.holds(client.grant):
                client.feed(text)

    def _welcome(self, client: Client, grant: Grant) -> None:
        client.grant = grant
        client.say({self.dialect.word: "welcome", "subject": grant.subject})
        alone = "subscribe" in grant.scopes and "publish" not in grant.scopes
        if alone and not self.dialect.asks_to_subscribe:
            client.listening = True
            client.say({self.dialect.word: "subscribed"})

    def _granted(self, address: str, tokens: Iterable[str]) -> Grant:
        given = list(tokens)
        grant = self._tokens.verify(given[0]) if len(given) == 1 else None
        if grant is None:
            wait = self._failures.hit(address)
            if wait > 0:
                raise self._refusal(address, 429, "failures", wait)
            raise self._refusal(address, self.dialect.unauthenticated_status, "authentication")
        return grant

    def _complain(self, client: Client, error: str, **more: object) -> None:
        if error == "forbidden":
            self._note(client.address, error)
        client.say({self.dialect.word: "error", "error": error, **more})

    def _strike(self, client: Client, reason: str, wait_s: float) -> None:
        self._note(client.address, reason)
        client.strikes += 1
        self._complain(client, "over_limit", retry_after=round(wait_s + 0.001, 3))
        if client.strikes >= self.dialect.strikes:
            client.end(self.dialect.limited, "over the limit")

    def _refusal(self, address: str, status: int, reason: str, wait_s: float = 0.0) -> Refused:
        self._note(address, reason)
        return Refused(status, reason, wait_s)

    def _note(self, address: str, reason: str) -> None:
        """Count a refusal and log it; `reason` is a word of this service."""
        self._refusals[reason] += 1
        _log(f"refused {address}: {reason}")

    def _evict(self, client: Client, code: int, reason: str) -> None:
        self._evictions[reason] += 1
        _log(f"closed {client.address}: {reason}")
        client.end(code, reason)


async def converse(
    desk: Desk,
    client: Client,
    messages: AsyncIterator[str | bytes],
    send: Callable[[str], Awaitable[object]],
    close: Callable[[int, str], Awaitable[object]],
) -> None:
    """Hear what comes and send what is owed, until the peer is gone or was told to go."""

    async def hear() -> None:
        try:
            async for message in messages:
                desk.hear(client, message)
                await client.room()
        finally:
            client.end(GONE, "")

    hearing = asyncio.create_task(hear())
    try:
        while True:
            item = await client.next(desk.dialect.word)
            if isinstance(item, Farewell):
                break
            await send(item)
        if item.code != GONE:
            await close(item.code, item.reason)
    finally:
        hearing.cancel()
        await asyncio.wait({hearing})
        if not hearing.cancelled():
            hearing.exception()  # a peer that vanished: nobody is left to be told


def credentials(query: Iterable[tuple[str, str]], authorization: Iterable[str]) -> list[str]:
    """Return every token a handshake shows; one of another scheme than Bearer is an empty one."""
    found = [value for name, value in query if name == "access"]
    for value in authorization:
        scheme, _, token = value.strip().partition(" ")
        found.append(token.strip() if scheme.lower() == "bearer" else "")
    return found


def _is_name(value: object) -> bool:
    return isinstance(value, str)


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
