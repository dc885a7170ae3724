"""Characters that a log or a terminal obeys, sent through whatever a client may fill in."""

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from monitor.contract.verdicts import Severity, Verdict
from securitytests.bench import Bench
from securitytests.catalogue.leaks.canaries import log_of, pages_of
from securitytests.catalogue.leaks.fields import Send, every_field
from securitytests.catalogue.leaks.plants import ANY_CONTROL, UNESCAPED, Plant, plants
from securitytests.check import Claim, check
from securitytests.judging import Judgement, verdict_of

#: Fields under way at a time.
_AT_A_TIME = 4


@check(
    id="LK5",
    title="No field of a client's ends a line or commands a terminal, in log or stream",
    claim=Claim.NO_LEAKS,
    severity=Severity.MEDIUM,
    references=("ASVS-16.4.1", "CWE-117", "CWE-150"),
    remediation="Make control characters visible in the log's formatter and in accepted texts.",
    cost_s=3.0,
    tier="destructive",
)
async def injected_controls(bench: Bench) -> None:
    """Whoever can write a line of the log can write that all is well.

    Line ends, escape sequences, NUL, backspace and the line separator are put between two marks
    into method, path, query (as they are and percent-encoded), headers, tokens, their subject, id
    and key id, every field of events, field names, client messages, references and close reasons.
    In the log the second mark may nowhere stand behind such a character. On the pages of metrics
    and state, in the stream and in answers it may not behind one that JSON would have escaped;
    where the profile says what becomes of `events.control_characters`, no text read from the
    stream or a page may have any.
    """
    await bench.token("publish")
    last = bench.mark()
    quoted = f'"{last}"'  # others begin as it does
    listening = bench.listen(await bench.client(), quoted)
    sent: dict[str, tuple[Plant, ...]] = {}
    answers: dict[str, list[str]] = {}
    places = asyncio.Semaphore(_AT_A_TIME)

    async def through(field: str, send: Send) -> None:
        async with places:
            with bench.variant(field):
                sent[field], answers[field] = plants(), []
                for plant in sent[field]:
                    answers[field] += await send(plant)

    await asyncio.gather(*(through(field, send) for field, send in every_field(bench)))
    publisher = await bench.client("publish")
    await publisher.send_event(bench.event(last))
    heard = await bench.heard(listening)
    if not any(quoted in text for text in heard.texts):
        bench.cannot_tell("the event published last did not arrive")
    log, pages = await log_of(bench), await pages_of(bench)
    read: dict[str, list[str] | None] = {"stream": list(heard.texts)}
    read |= {name: None if page is None else [page] for name, page in pages.items()}
    schema = bench.target.events
    promised = schema is not None and schema.control_characters is not None
    for field, planted in sent.items():
        with bench.variant(f"{field}, log"):
            bench.judge(_judged(planted, None if log is None else [log], ANY_CONTROL))
        with bench.variant(f"{field}, answer"):
            bench.judge(_judged(planted, answers[field], UNESCAPED))
        for place, contents in read.items():
            with bench.variant(f"{field}, {place}"):
                bench.judge(_judged(planted, contents, UNESCAPED))
                if promised and contents is not None:
                    bench.judge(_judged(planted, _decoded(planted, contents), ANY_CONTROL))


def _judged(
    planted: Iterable[Plant], contents: list[str] | None, control: re.Pattern[str]
) -> Judgement:
    """Judge that none of the plants stands in what was said with its control character."""
    wanted = "no second mark behind a control character"
    if contents is None:
        return Judgement(Verdict.INCONCLUSIVE, wanted, "it cannot be read")
    obeyed = [
        plant.control
        for plant in planted
        if any(plant.obeyed_in(content, control) for content in contents)
    ]
    return verdict_of(not obeyed, wanted, f"behind {', '.join(obeyed)}" if obeyed else "none")


def _decoded(planted: Iterable[Plant], contents: Iterable[str]) -> list[str]:
    """Return the texts inside the JSON of whatever has a second mark in it."""
    tails = [plant.tail for plant in planted]
    found: list[str] = []
    for content in contents:
        if any(tail in content for tail in tails):
            try:
                found += _texts_in(json.loads(content, strict=False))
            except ValueError:
                found.append(content)  # no JSON: it is read as it is
    return found


def _texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a JSON value, names of fields included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts_in(item)
