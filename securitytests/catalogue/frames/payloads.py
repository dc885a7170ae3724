"""Messages that are no JSON, or JSON on which readers could disagree: a defined error each."""

import asyncio
import json

from monitor.contract.promises import Answer, Situation
from monitor.contract.target import fill
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.frames.conformance import PROMPTLY_S
from securitytests.check import Claim, check
from securitytests.judging import Judgement, spell, verdict_of
from securitytests.probe.client import Client, publication
from securitytests.probe.frames import Opcode
from securitytests.probe.peer import ENDS

#: How long one that must stay open is watched for an end.
_STAYS_S = 0.2


async def answered_with(client: Client, *expected: Answer) -> Judgement:
    """Judge what a client is told that has said something wrong, in any of the ways expected.

    A close with a declared code, or a message with a declared mark; after the mark alone the
    connection must stay.
    """
    wanted = " or ".join(f"answered with {spell(one)}" for one in expected)
    marks = [one.error for one in expected if one.error is not None]
    codes = [code for one in expected for code in one.close]
    deadline = asyncio.get_running_loop().time() + PROMPTLY_S
    while True:
        heard = await client.peer.receive(deadline - asyncio.get_running_loop().time())
        if heard.kind in ENDS:
            return verdict_of(heard.code in codes, wanted, f"{heard.kind} {heard.code}")
        if heard.kind == "silence":
            return verdict_of(False, wanted, "no such answer")
        if heard.kind == "text" and any(mark in heard.text for mark in marks):
            break
    after = await client.peer.until_end(_STAYS_S)
    stays = not after.ended or after.code in codes
    return verdict_of(stays, wanted, "the error" if stays else f"the error, then {after}")


async def _say(bench: Bench, name: str, text: str, *situations: Situation) -> None:
    with bench.variant(name):
        expected = [bench.answer(one) for one in situations]
        client = await bench.client("publish")
        await client.peer.send_text(text)
        bench.judge(await answered_with(client, *expected))


@check(
    id="FR11",
    title="Deeply nested JSON is a bad message like any other",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.HIGH,
    references=("CWE-674", "RFC8259-9"),
    remediation="Bound the depth in the parser, and treat its error as a bad message.",
    cost_s=0.6,
    tier="destructive",
)
async def depth_bomb(bench: Bench) -> None:
    """A parser that calls itself for each level ends with its stack, and its process with it.

    As many levels as fit into half of the largest message: arrays, objects, and arrays inside a
    field of an event. Each must be answered as `answers.bad_message` or `bad_event` says.
    """
    half = int(bench.promised("max_message_bytes")) // 2
    inside = publication(bench.target, bench.event()).rsplit("}", 1)[0]
    levels = (half - len(inside)) // 2
    texts = {
        "arrays": "[" * half,
        "closed arrays": "[" * (half // 2) + "]" * (half // 2),
        "objects": '{"a":' * (half // 5),
        "in a message": f'{inside},"x":{"[" * levels}{"]" * levels}}}',
    }
    await asyncio.gather(
        *(_say(bench, name, text, "bad_message", "bad_event") for name, text in texts.items())
    )


@check(
    id="FR12",
    title="Keys that stand twice, numbers and texts that are no JSON, are refused",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("CWE-436", "RFC8259-4", "RFC8259-6", "RFC8259-8.2"),
    remediation="Parse strictly (RFC 8259); refuse keys that stand twice, and types that misfit.",
    cost_s=0.6,
    tier="gentle",
)
async def no_common_reading(bench: Bench) -> None:
    """Where two readers of one message understand two things, one of them is deceived.

    Publications with NaN, infinities, numbers beyond measure, a lone surrogate, and a trailing
    second message; and with a key that stands twice: in the message, in an event, in the last of a
    batch, with the same value and with another, and where one of the two is spelled with an
    escape. Each must be answered as `answers.bad_message` or `bad_event` says.
    """
    good = publication(bench.target, bench.event())
    events = bench.target.events
    if events is None:
        bench.cannot_tell("the profile has no `events`; give its fields and their types")
    event = bench.event()
    numbers = [name for name in event if events.fields.get(name) in {"number", "integer"}]
    texts = [name for name in events.text_fields if name in event]
    if not numbers or not texts:
        bench.cannot_tell("the profile's `events.example` has no number, or no free text")
    spoilt = {
        "NaN": (numbers[0], "NaN"),
        "Infinity": (numbers[0], "Infinity"),
        "-Infinity": (numbers[0], "-Infinity"),
        "1e400": (numbers[0], "1e400"),
        "an integer of 4,500 digits": (numbers[0], "9" * 4_500),
        "a lone surrogate": (texts[0], r'"\ud800"'),
    }
    place = "4711471147114711"
    cases = {}
    for name, (field, value) in spoilt.items():
        text = publication(bench.target, {**bench.event(), field: place})
        cases[name] = text.replace(json.dumps(place), value)
    cases["two messages in one"] = good + good
    cases |= _keys_twice(bench, numbers[0])
    await asyncio.gather(
        *(_say(bench, name, text, "bad_message", "bad_event") for name, text in cases.items())
    )


def _keys_twice(bench: Bench, number: str) -> dict[str, str]:
    """Return messages in each of which a key stands twice; `number` is a field of the event."""
    target, event = bench.target, json.dumps(bench.event())
    events = {
        "in an event": key_twice(event),
        "in an event, escaped": key_twice(event, escaped=True),
        "in an event, with another value": key_twice(event, number, "1"),
    }
    if target.publish.batch_events > 1:
        events["in the last of a batch"] = f"{event},{key_twice(event)}"
    cases = {name: fill(target.publish.message, {"event": one}) for name, one in events.items()}
    good = publication(target, bench.event())
    cases["in a message"] = key_twice(good)
    cases["in a message, escaped"] = key_twice(good, escaped=True)
    if target.keepalive is not None:
        cases["in a keep-alive"] = key_twice(target.keepalive.message)
    return {f"a key twice {name}": text for name, text in cases.items() if text}


def key_twice(
    text: str, key: str | None = None, value: str | None = None, *, escaped: bool = False
) -> str:
    """Return the text of a JSON object with a key of it a second time; empty if it is no object.

    The first key with its own value, unless others are given; `escaped` spells the first letter
    of the second key as an escape, which makes no other key of it (RFC 8259 section 8.3).
    """
    try:
        members = json.loads(text)
    except ValueError:
        return ""
    if not isinstance(members, dict) or not members:
        return ""
    key = next(iter(members)) if key is None else key
    spelled = json.dumps(key)
    if escaped:
        spelled = f'"\\u{ord(key[0]):04x}{spelled[2:]}'
    value = json.dumps(members[key]) if value is None else value
    return f"{text.rstrip()[:-1]},{spelled}:{value}}}"


@check(
    id="FR13",
    title="Binary frames and what is no message are answered as declared",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.LOW,
    references=("RFC6455-5.6", "RFC6455-10.7"),
    remediation="Give each kind of bad message one answer, and say it in the profile.",
    cost_s=0.6,
    tier="gentle",
)
async def no_message(bench: Bench) -> None:
    """What is neither answered nor ended leaves a client waiting and a defect unseen.

    Texts that are no JSON, JSON that is no object, and objects that are no message must be answered
    as `answers.bad_message` says; a binary frame, even of a good message, as
    `answers.binary_message` says.
    """
    texts = {
        "empty": "",
        "words": "hello",
        "half an object": '{"type":',
        "null": "null",
        "number": "1",
        "array": "[]",
        "empty object": "{}",
        "unknown type": '{"type":"there-is-no-such-type"}',
    }
    await asyncio.gather(*(_say(bench, name, text, "bad_message") for name, text in texts.items()))
    with bench.variant("binary frame"):
        expected = bench.answer("binary_message")
        client = await bench.client("publish")
        content = publication(bench.target, bench.event()).encode()
        await client.peer.send_frame(content, Opcode.BINARY)
        bench.judge(await answered_with(client, expected))
