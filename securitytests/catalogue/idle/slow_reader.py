"""Subscribers that do not read what they are sent."""

import asyncio
import itertools
import json

import msgspec

from monitor.contract.target import fill
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.rates.calm import require_calm
from securitytests.catalogue.rates.enduring import calm_if_missed
from securitytests.catalogue.rates.floods import apart
from securitytests.check import Claim, check
from securitytests.judging import CannotTellError, Judgement, verdict_of, withstood
from securitytests.probe.client import Client, NotServedError
from securitytests.probe.frames import encode_frame
from securitytests.probe.peer import Ending

#: Readers that take nothing at all, and readers that take less than comes.
_STALLED = 16
_SLOW = 2

#: What a slow reader takes: so many messages at a time, so often. Pings are answered in time.
_SLOW_MESSAGES = 20
_SLOW_EVERY_S = 0.1

#: Events published while they stall, at most; less than a second's worth of the quota.
_EVENTS = 1_800

#: How long publishing them takes, so that an honest client is measured meanwhile.
_PUBLISHING_S = 1.2

#: Writes they are published in.
_WRITES = 24

#: Between two events that follow.
_EVERY_S = 0.1

#: Characters of free text in each, the largest the service takes.
_TEXT_CHARS = (4_000, 1_000, 100)

#: Bytes a stalled reader's kernel takes before it is felt.
_SMALL_BUFFER_BYTES = 4_096

#: How long a reader that reads on may take to catch up.
_CATCH_UP_S = 10.0


@check(
    id="ID6",
    title="Who does not read costs a bounded amount, harms nobody, and is told what it missed",
    claim=Claim.IDLE,
    severity=Severity.HIGH,
    references=("CWE-770", "CWE-400"),
    remediation="Keep one log with a cursor a reader, not a queue each; announce what is left out.",
    cost_s=4.0,
    tier="destructive",
    server="own",
    alone=True,
)
async def slow_readers(bench: Bench) -> None:
    """A queue for each reader that does not read is memory an attacker can order.

    Sixteen subscribers stop reading and two read slowly while megabytes of events are published.
    The service must keep below `promises.attacked_memory_bytes` and serve an honest pair within
    `attacked_p99_ms`. Then the slow ones read on as fast as they can: each must get every event,
    or a notice with `publish.thinned` that accounts for those it did not get, or have been closed.
    """
    publisher = await bench.client("publish", token=await apart(bench))
    size = await _largest_text(bench, publisher)
    await require_calm(bench)
    quota = bench.promises.publish_events_per_s or _EVENTS
    count = min(_EVENTS, int(quota * 0.8))
    for _ in range(_STALLED):
        await bench.client(kernel_buffer_bytes=_SMALL_BUFFER_BYTES)
    slow = [await bench.client(kernel_buffer_bytes=_SMALL_BUFFER_BYTES) for _ in range(_SLOW)]
    hurry, following = asyncio.Event(), bench.mark()
    reading = [asyncio.create_task(_read(client, hurry, following)) for client in slow]
    async with bench.watching("slow_readers") as seen:
        marks = await _publish(bench, publisher, count, size)
    bench.figures["slow_readers_stalled"] = _STALLED
    bench.figures["slow_readers_published_bytes"] = count * size
    found = withstood(seen, bench.promises)
    hurry.set()
    publishing = asyncio.create_task(_follow(bench, publisher, following))
    try:
        heard = await asyncio.gather(*reading)
    finally:
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)
    for number, ending in enumerate(heard, 1):
        with bench.variant(f"slow reader {number}"):
            bench.judge(_told(bench, ending, marks))
    await calm_if_missed(bench, found)
    with bench.variant("while they stall"):
        bench.judge(*found)


async def _read(client: Client, hurry: asyncio.Event, following: str) -> Ending:
    """Read slowly until there is need to hurry, then until an event that follows arrives."""
    texts: list[str] = []
    while not hurry.is_set():
        for _ in range(_SLOW_MESSAGES):
            heard = await client.peer.receive(0.01)
            if heard.kind == "text":
                texts.append(heard.text)
            elif heard.kind == "silence":
                break
        await asyncio.sleep(_SLOW_EVERY_S)
    ending = await client.peer.until_end(_CATCH_UP_S, stop_at=f'"{following}.')
    return msgspec.structs.replace(ending, texts=(*texts, *ending.texts))


async def _follow(bench: Bench, publisher: Client, mark: str) -> None:
    """Publish on, so that a reader that has caught up receives something."""
    for number in itertools.count(1):
        await publisher.publish(bench.event(f"{mark}.{number}"), 5)
        await asyncio.sleep(_EVERY_S)


def _text(bench: Bench, size: int) -> dict[str, str]:
    fields = () if bench.target.events is None else bench.target.events.text_fields
    own = next((name for name in fields if name in bench.event()), None)
    if own is None:
        bench.cannot_tell(
            "no event can be made large: `events.example` has none of `events.text_fields`"
        )
    return {own: "slow " * (size // 5)}


async def _largest_text(bench: Bench, publisher: Client) -> int:
    """Return how many characters of text an event may have, of a few sizes."""
    for size in _TEXT_CHARS:
        try:
            await publisher.publish(bench.event(**_text(bench, size)), 5)
        except NotServedError:
            continue
        return size
    raise CannotTellError("no event with free text is accepted")


async def _publish(bench: Bench, publisher: Client, count: int, size: int) -> list[str]:
    """Publish so many events, in batches where the profile allows; return their marks."""
    marks = [bench.mark() for _ in range(count)]
    events = [json.dumps(bench.event(mark, **_text(bench, size))) for mark in marks]
    room = int((bench.promises.max_message_bytes or 65_536) * 0.9) // (len(events[0]) + 8)
    batch = max(1, min(bench.target.publish.batch_events, room))
    messages = [
        fill(bench.target.publish.message, {"event": ",".join(events[at : at + batch])})
        for at in range(0, count, batch)
    ]
    frames = [encode_frame(message.encode()) for message in messages]
    at_once = max(1, len(frames) // _WRITES)
    for at in range(0, len(frames), at_once):
        await asyncio.sleep(_PUBLISHING_S / _WRITES)
        written = frames[at : at + at_once]
        await publisher.peer.send(b"".join(written), f"{len(written)} publications")
        await _acknowledged(bench, publisher, len(written))
    return marks


async def _acknowledged(bench: Bench, publisher: Client, count: int) -> None:
    acknowledged = bench.target.publish.acknowledged
    if acknowledged is None:
        return
    for _ in range(count):
        heard = await publisher.peer.until_text(acknowledged, 5)
        if heard.kind != "text":
            raise CannotTellError(f"a publication was not acknowledged: {heard.kind}")


def _told(bench: Bench, ending: Ending, marks: list[str]) -> Judgement:
    """Judge whether what did not arrive was accounted for."""
    wanted = "every event, a notice of those left out, or a close"
    publish = bench.target.publish
    quoted = {part for text in ending.texts for part in text.split('"')}
    missing = len(set(marks) - quoted)
    omitted = 0
    for text in ending.texts:
        if publish.thinned is not None and publish.thinned in text:
            found = json.loads(text).get(publish.thinned_count, 0)
            omitted += found if isinstance(found, int) else 0
    patience = bench.target.answers.get("ping_deadline")
    if patience is not None and ending.ended and ending.code in patience.close:
        bench.cannot_tell("the reader was so slow that it answered a ping too late; try again")
    caught_up = not ending.ended and bool(ending.texts)
    said = f"{missing} missing, {omitted} announced; {str(ending)[:160]}"
    return verdict_of(ending.ended or (caught_up and omitted >= missing), wanted, said)
