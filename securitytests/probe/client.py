"""A client that behaves: connects, authenticates as the profile says, subscribes, publishes."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

from monitor.contract.target import Target, fill
from securitytests.probe.peer import ENDS, Ending, Peer, Received


class NotServedError(Exception):
    """The service did not do for an honest client what its profile says; the text says what."""


class Client:
    """One honest client on an open connection."""

    def __init__(self, peer: Peer, target: Target) -> None:
        self.peer = peer
        self._target = target

    async def authenticate(self, message: str | None, within: float) -> None:
        """Send the first message, if there is one, and wait for the mark of success.

        Raises:
            NotServedError: it did not come.
        """
        if message is not None:
            await self.peer.send_text(message)
        mark = self._target.authentication.accepted
        if mark is not None:
            heard = await self.peer.until_text(mark, within)
            if heard.kind != "text":
                raise NotServedError(f"authentication: expected {mark}, got {said(heard)}")

    async def subscribe(self, within: float, message: str | None = None) -> Received | None:
        """Subscribe as the profile says, or with `message`; return the answer if it has a mark.

        Raises:
            NotServedError: the mark of the answer did not come.
        """
        ask = self._target.subscribe
        wanted = ask.message if message is None else message
        if wanted is not None:
            await self.peer.send_text(wanted)
        if ask.accepted is None:
            return None
        heard = await self.peer.until_text(ask.accepted, within)
        if heard.kind != "text":
            raise NotServedError(f"subscription: expected {ask.accepted}, got {said(heard)}")
        return heard

    async def send_event(self, event: dict[str, Any]) -> bool:
        """Publish one event and wait for nothing; False if the service has hung up."""
        return await self.peer.send_text(publication(self._target, event))

    async def publish(self, event: dict[str, Any], within: float) -> None:
        """Publish one event and wait for its acknowledgement, where the profile has a mark for it.

        Raises:
            NotServedError: it was not acknowledged.
        """
        await self.send_event(event)
        mark, refusal = self._target.publish.acknowledged, self._target.publish.refused
        if mark is None:
            return
        deadline = _now() + within
        while True:
            heard = await self.peer.receive(deadline - _now())
            if heard.kind == "text" and mark in heard.text:
                return
            refused = heard.kind == "text" and refusal is not None and refusal in heard.text
            if refused or heard.kind in ENDS or heard.kind == "silence":
                raise NotServedError(f"publication: expected {mark}, got {said(heard)}")

    async def keep_alive(self, within: float) -> float:
        """Ask for an answer as the profile says; return how long it took, in seconds.

        Raises:
            NotServedError: none came, or the profile has no `keepalive`.
        """
        keepalive = self._target.keepalive
        if keepalive is None:
            raise NotServedError("the profile has no `keepalive`")
        started = _now()
        await self.peer.send_text(keepalive.message)
        heard = await self.peer.until_text(keepalive.answer, within)
        if heard.kind != "text":
            raise NotServedError(f"keep-alive: expected {keepalive.answer}, got {said(heard)}")
        return _now() - started

    async def expect(self, mark: str, within: float) -> Received:
        """Return the message with `mark` in it.

        Raises:
            NotServedError: it did not come.
        """
        heard = await self.peer.until_text(mark, within)
        if heard.kind != "text":
            raise NotServedError(f"delivery: expected the event published, got {said(heard)}")
        return heard


def event_of(target: Target, identifier: str, **fields: Any) -> dict[str, Any]:
    """Return an event the service accepts, with our identifier and any further fields."""
    if target.events is not None:
        event = dict(json.loads(target.events.example))
    else:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        event = {"type": "phase_progress", "phase": "audit", "progress": 1, "timestamp": now}
    return {**event, target.publish.id_field: identifier, **fields}


def event_with(target: Target, identifier: str, field: str, text: str) -> dict[str, Any]:
    """Return an event with this text in a field, of a type that has the field if the schema does.

    Otherwise the field is added to the example, for the service to refuse.
    """
    event, schema = event_of(target, identifier), target.events
    if schema is None or field in {*event, *schema.required, *schema.optional}:
        return {**event, field: text}
    having = {
        name: kind
        for name, kind in schema.types.items()
        if field in kind.required or field in kind.optional
    }
    own = str(event.get(schema.type_field))
    if not having or own in having:
        return {**event, field: text}
    return event_of_type(target, identifier, next(iter(having)), **{field: text})


def event_of_type(target: Target, identifier: str, name: str, **fields: Any) -> dict[str, Any]:
    """Return an event of a type the schema has, with what every such event has, and `fields`."""
    event, schema = event_of(target, identifier), target.events
    assert schema is not None  # noqa: S101 - who asks has looked at its types
    common = {key: event[key] for key in (*schema.required, *schema.optional) if key in event}
    needed = {
        key: event.get(key, _EXAMPLES.get(schema.fields.get(key, "string"), "x"))
        for key in schema.types[name].required
    }
    said = {target.publish.id_field: identifier, schema.type_field: name}
    return {**common, **needed, **said, **fields}


#: A value of each type a field may have.
_EXAMPLES: dict[str, Any] = {"number": 1, "integer": 1, "boolean": False, "object": {}, "array": []}


def publication(target: Target, event: dict[str, Any]) -> str:
    """Return the message that publishes an event."""
    return fill(target.publish.message, {"event": json.dumps(event)})


def said(heard: Received) -> str:
    """Return what was heard, for people."""
    if heard.kind == "text":
        return heard.text[:200]
    return str(Ending(heard.kind, 0.0, heard.code, heard.text)).partition(" after ")[0]


def _now() -> float:
    return asyncio.get_running_loop().time()
