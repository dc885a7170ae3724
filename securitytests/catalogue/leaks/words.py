"""What events and errors are made of: declared fields only, and no internals."""

import asyncio
import json
import re
import secrets
from collections.abc import Iterator
from typing import Any

from monitor.contract.promises import Events
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import Judgement, verdict_of
from securitytests.probe.client import NotServedError, event_of_type, publication

#: What a stack, a source file, a library or an address in memory looks like.
_INTERNALS = re.compile(
    r"Traceback|File \"|\.(py|pyc|js|cjs|ts|go|java|rb)\b[:\"'), ]|site-packages|node_modules"
    r"|\b0x[0-9a-f]{6,}|\b\w+(Error|Exception)\b|/(usr|home|root|opt|tmp|var)/|\bat \w+ \(",
)

#: Publishers of events of several types at a time, and how soon each is answered.
_PUBLISHERS = 4
_PROMPTLY_S = 2.0


def _fields(event: dict[str, Any], schema: Events) -> set[str]:
    """Return the fields of an event that its schema does not have."""
    kind = schema.types.get(str(event.get(schema.type_field)))
    of_type = set() if kind is None else {*kind.required, *kind.optional}
    return event.keys() - {
        schema.type_field,
        *schema.required,
        *schema.optional,
        *schema.added,
        *of_type,
    }


def _event_in(text: str, schema: Events) -> dict[str, Any] | None:
    """Return the event a message carries, or None if it carries none."""
    message = json.loads(text)
    for step in filter(None, schema.inside.split(".")):
        message = message.get(step) if isinstance(message, dict) else None
    known = isinstance(message, dict) and message.get(schema.type_field) not in schema.server_types
    return message if known else None


@check(
    id="LK3",
    title="Events have the declared fields and no others",
    claim=Claim.NO_LEAKS,
    severity=Severity.HIGH,
    references=("ASVS-15.3.1", "ASVS-15.3.3", "CWE-200"),
    remediation="Encode events from a closed schema; refuse or drop fields it does not have.",
    cost_s=0.6,
    tier="gentle",
)
async def declared_fields(bench: Bench) -> None:
    """What is in no schema is reviewed by nobody: an added field may tell who published.

    Good events are published, one of each type in `events.types` that can be made from what the
    profile says of it, and one with an unknown field. Whatever a subscriber receives may have only
    fields that the profile declares for its type; the unknown field and its content may not
    arrive. Types of which no event arrived are told with the verdict.
    """
    schema = bench.target.events
    if schema is None or not schema.types:
        bench.cannot_tell("the profile has no `events.types`; give the fields of each type")
    secret, last = secrets.token_hex(8), bench.mark()
    listening = bench.listen(await bench.client(), last)
    marks = await _publish_types(bench, schema)
    publisher = await bench.client("publish")
    await publisher.send_event({**bench.event(), "internal_note": secret})
    await publisher.send_event(bench.event())
    await publisher.send_event(bench.event(last))
    ending = await bench.heard(listening)
    if not any(last in text for text in ending.texts):
        bench.cannot_tell("the event published last did not arrive")
    events = [event for text in ending.texts if (event := _event_in(text, schema)) is not None]
    strange = sorted({name for event in events for name in _fields(event, schema)})
    with bench.variant("fields"):
        bench.judge(verdict_of(not strange, "declared fields", ", ".join(strange) or "declared"))
    with bench.variant("unknown field"):
        arrived = any(secret in text for text in ending.texts)
        bench.judge(verdict_of(not arrived, "not delivered", "it arrived" if arrived else "not"))
    missing = [
        name for name, mark in marks.items() if not any(mark in text for text in ending.texts)
    ]
    if missing:
        bench.leave_untried(f"no event arrived of {', '.join(missing)}")


async def _publish_types(bench: Bench, schema: Events) -> dict[str, str]:
    """Publish an event of each type but the example's; return the mark that each would carry."""
    own = str(bench.event().get(schema.type_field))
    marks = {name: bench.mark() for name in schema.types if name != own}
    places = asyncio.Semaphore(_PUBLISHERS)

    async def publish(name: str, mark: str) -> None:
        async with places:
            await _publish_type(bench, schema, name, mark)

    await asyncio.gather(*(publish(name, mark) for name, mark in marks.items()))
    return marks


async def _publish_type(bench: Bench, schema: Events, name: str, mark: str) -> None:
    """Publish an event of a type as declared; if it is refused, with the free texts as well.

    A service may demand a text that it does not pass on, so that the profile need not declare it.
    """
    for texts in ({}, dict.fromkeys(schema.text_fields, "x")):
        client = await bench.client("publish")
        try:
            await client.publish(event_of_type(bench.target, mark, name, **texts), _PROMPTLY_S)
        except NotServedError:
            continue
        if bench.target.publish.acknowledged is not None:
            return


@check(
    id="LK4",
    title="Errors and close reasons tell nothing of the inside, nor what was sent",
    claim=Claim.NO_LEAKS,
    severity=Severity.MEDIUM,
    references=("ASVS-16.5.1", "CWE-209"),
    remediation="Word each error for the peer; log the exception, and never pass its text on.",
    cost_s=1.0,
    tier="gentle",
)
async def errors(bench: Bench) -> None:
    """The text of an exception names files, libraries and the value that it did not like.

    Messages of a wrong shape, events with a wrong value, wrong tokens, missing pages and malformed
    requests are answered: no answer may have a stack, a file, a library's error, an address in
    memory, or the secret value that was sent.
    """
    secret = secrets.token_hex(8)
    event = {**bench.event(), "type": secret}
    texts = {
        "no JSON": "{" + secret,
        "unknown type": json.dumps({"type": secret}),
        "wrong value": publication(bench.target, event),
        "wrong shape": publication(bench.target, {**bench.event(), "id": [secret]}),
    }
    for name, text in texts.items():
        with bench.variant(name):
            client = await bench.client("publish")
            await client.peer.send_text(text)
            ending = await client.peer.until_end(0.3)
            said = "\n".join((*ending.texts, ending.reason))
            bench.judge(*_discreet(said, secret))
    for method in bench.methods:
        with bench.variant(f"wrong token, {method}"):
            attempt = await bench.attempt(f"{secret}.{secret}.{secret}", method)
            response = attempt.handshake.response
            body = "" if response is None else response.body.decode("utf-8", "replace")
            reason = "" if attempt.ending is None else attempt.ending.reason
            bench.judge(*_discreet("\n".join((*attempt.texts, reason, body)), secret))
    for name, target in {"missing page": f"/{secret}", "malformed target": "http://[/"}.items():
        with bench.variant(name):
            response = (await bench.ask(bench.page_request(target))).response
            body = "" if response is None else response.body.decode("utf-8", "replace")
            bench.judge(*_discreet(body, ""))


def _discreet(said: str, secret: str) -> Iterator[Judgement]:
    found = _INTERNALS.search(said)
    quoted = bool(secret) and secret in said
    yield verdict_of(found is None, "nothing of the inside", found[0] if found else "nothing")
    yield verdict_of(not quoted, "the value not repeated", "repeated" if quoted else "not")
