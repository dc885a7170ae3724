"""Clients that speak with another's voice: the service's, or another subject's."""

import json

from monitor.contract.profile import Method
from monitor.contract.target import fill
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import Attempt, Judgement, refused, verdict_of
from securitytests.probe.client import Client, publication
from securitytests.probe.peer import Ending, Handshake

#: How long a service may take to answer a message.
_PROMPTLY_S = 3.0

#: Larger than any offset a service under test will reach.
_FORGED_NUMBER = 2**52


@check(
    id="AZ5",
    title="No client can speak as the service, and no subscriber at all",
    claim=Claim.REVALIDATION,
    severity=Severity.HIGH,
    references=("CWE-345", "ASVS-15.3.3"),
    remediation="Build what is delivered from a closed schema; set the service's own fields last.",
    cost_s=1.5,
    tier="destructive",
)
async def no_forged_messages(bench: Bench) -> None:
    """A subscriber believes what arrives: a forged shutdown, gap or offset misleads it.

    A publisher publishes events whose type is each of `events.server_types`, and events with each
    field of `events.added` set: the first must reach nobody, the second arrive without the forged
    value or not at all. A subscriber sends events, bare and wrapped as the service would, and
    those types: none may reach another subscriber. An honest event must.
    """
    events = bench.target.events
    if events is None or not events.server_types:
        bench.cannot_tell("the profile has no `events.server_types`; name the service's own types")
    publisher, last = await bench.client("publish"), bench.mark()
    listening = bench.listen(await bench.client(), f'"{last}"')
    forged: dict[str, str] = {}
    for kind in events.server_types:
        mark = bench.mark()
        forged[f"published as {kind}"] = mark
        await publisher.send_event(bench.event(mark, **{events.type_field: kind}))
    numbered: dict[str, str] = {}
    for field in events.added:
        mark = numbered[field] = bench.mark()
        value = _FORGED_NUMBER if events.fields.get(field) in {"integer", "number"} else True
        await publisher.send_event(bench.event(mark, **{field: value}))
    forged |= await _by_subscribers(bench, events.type_field, events.server_types)
    honest = await bench.client("publish")
    await honest.publish(bench.event(last), _PROMPTLY_S)
    heard = await bench.heard(listening)
    with bench.variant("honest"):
        bench.judge(verdict_of(_texts(last, heard) != [], "the event arrives", str(heard)))
    for name, mark in forged.items():
        with bench.variant(name):
            arrived = _texts(mark, heard)
            bench.judge(verdict_of(not arrived, "it reaches nobody", "".join(arrived) or "none"))
    for field, mark in numbered.items():
        with bench.variant(f"published with {field}"):
            bench.judge(_not_forged(bench, field, _texts(mark, heard)))


async def _by_subscribers(
    bench: Bench, type_field: str, server_types: tuple[str, ...]
) -> dict[str, str]:
    """Send as subscribers what only the service says; return the marks."""
    sent: dict[str, str] = {}
    for name in ("bare event", "publication"):
        mark = sent[f"subscriber, {name}"] = bench.mark()
        event = bench.event(mark)
        text = json.dumps(event) if name == "bare event" else publication(bench.target, event)
        client = await bench.client()
        await client.peer.send_text(text)
    for kind in server_types:
        mark = sent[f"subscriber, {kind}"] = bench.mark()
        client = await bench.client()
        message = {type_field: kind, bench.target.publish.id_field: mark, "message": mark}
        await client.peer.send_text(json.dumps(message))
    return sent


def _texts(mark: str, heard: Ending) -> list[str]:
    return [text for text in heard.texts if f'"{mark}"' in text]


def _not_forged(bench: Bench, field: str, arrived: list[str]) -> Judgement:
    inside = bench.target.events.inside if bench.target.events is not None else ""
    values = []
    for text in arrived:
        found = json.loads(text)
        for step in filter(None, inside.split(".")):
            found = found.get(step, {})
        values.append(found.get(field))
    kept = [value for value in values if value is True or value == _FORGED_NUMBER]
    return verdict_of(not kept, "the forged value is not delivered", f"delivered: {values}")


@check(
    id="AZ6",
    title="A publisher cannot speak for another subject",
    claim=Claim.REVALIDATION,
    severity=Severity.HIGH,
    references=("CWE-290", "CWE-345"),
    remediation="Bind a connection to one subject; keep what subjects choose apart by subject.",
    cost_s=1.0,
    tier="gentle",
)
async def no_other_subject(bench: Bench) -> None:
    """Events are believed for whom they come from.

    A publisher of each way of authenticating sends a publication that carries another subject's
    token: it must be refused as `answers.other_subject` says and the event reach nobody. An event
    that states a subject of its own may not be delivered with it. The identifier of an event that
    one subject has published is published again by another: that event must arrive, too, for else
    one could silence the other by being first.
    """
    last = bench.mark()
    listening = bench.listen(await bench.client(), f'"{last}"')
    template = bench.target.publish.with_token
    marks = {}
    for method in bench.methods:
        with bench.variant(f"{method}, another subject's token"):
            if template is None:
                bench.cannot_tell("the profile has no `publish.with_token`")
            marks[method] = await _with_foreign_token(bench, template, method)
    claimed, subject = bench.mark(), bench.mark()
    first = await bench.client("publish", token=await _of(bench))
    for name in ("subject", "sub", "user", "publisher"):
        await first.send_event(bench.event(claimed, **{name: subject}))
    contested = bench.mark()
    second = await bench.client("publish", token=await _of(bench))
    await first.send_event(bench.event(contested))
    await first.peer.until_text(bench.target.publish.acknowledged or "", _PROMPTLY_S)
    await second.publish(bench.event(contested), _PROMPTLY_S)
    await second.publish(bench.event(last), _PROMPTLY_S)
    heard = await bench.heard(listening)
    with bench.variant("deliveries"):
        stray = [method for method, mark in marks.items() if _texts(mark, heard)]
        named = [text for text in heard.texts if subject in text]
        bench.judge(
            verdict_of(_texts(last, heard) != [], "an honest event arrives", str(heard)),
            verdict_of(not stray, "none with another's token", ", ".join(stray) or "none did"),
            verdict_of(not named, "no stated subject", "".join(named) or "none"),
        )
    with bench.variant("an identifier of two subjects"):
        copies = len(_texts(contested, heard))
        bench.judge(verdict_of(copies == 2, "both events arrive", f"{copies} arrived"))


async def _of(bench: Bench) -> str:
    """Return a publisher's token whose subject nobody else has."""
    return (await bench.signed("publish")).token


async def _with_foreign_token(bench: Bench, template: str, method: Method) -> str:
    own, foreign, mark = await _of(bench), await _of(bench), bench.mark()
    client: Client = await bench.client("publish", token=own, method=method)
    event = json.dumps(bench.event(mark))
    await client.peer.send_text(fill(template, {"token": foreign, "event": event}))
    ending = await client.peer.until_end(_PROMPTLY_S, stop_at=bench.target.publish.acknowledged)
    attempt = Attempt(method, Handshake(None, "came in"), accepted=False, ending=ending)
    bench.judge(refused(attempt, bench.answer("other_subject")))
    return mark
