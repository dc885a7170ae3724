"""The quota of publishing: a subject's, wherever it publishes from."""

import asyncio
import json

from monitor.contract.target import fill
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import verdict_of
from securitytests.probe.client import Client
from securitytests.probe.frames import encode_frame
from securitytests.probe.peer import ENDS

#: Addresses from which the one subject publishes: with a quota for each, this many times too much.
_ADDRESSES = 5

#: Events one address offers, in seconds' worth of the quota.
_OFFERED_S = 1.6

#: Messages in one write.
_AT_ONCE = 50

#: A burst of this many seconds' worth may be had beside what the time allows.
_BURST_S = 1.0


@check(
    id="RL8",
    title="A subject's publishing quota holds across its addresses",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("CWE-770", "ASVS-2.4.1"),
    remediation="Count published events by the subject of the token, not by connection or address.",
    cost_s=3.0,
    tier="destructive",
    server="own",
)
async def quota_of_a_subject(bench: Bench) -> None:
    """What costs everyone a delivery must be bounded for whoever causes it.

    One subject publishes from five addresses at once, as fast as it can, in the largest batches
    the profile allows, until it is refused. In T seconds no more than T + 1 seconds' worth of
    `promises.publish_events_per_s` may be taken, and each address be refused as
    `answers.over_quota` says. Another subject must be served meanwhile.
    """
    rate, refusal = bench.promised("publish_events_per_s"), bench.answer("over_quota").error
    acknowledged = bench.target.publish.acknowledged
    if refusal is None or acknowledged is None:
        bench.cannot_tell("the profile lacks `answers.over_quota.error` or `publish.acknowledged`")
    token = (await bench.signed("publish")).token
    clients = [await bench.client("publish", token=token) for _ in range(_ADDRESSES)]
    other = await bench.client("publish")
    text, size = largest_batch(bench)
    started = bench.now()
    offered = int(rate * _OFFERED_S)
    offers = [
        publish_until_refused(client, text, size, offered, acknowledged, refusal)
        for client in clients
    ]
    taken = await asyncio.gather(*offers)
    took = bench.now() - started
    await other.publish(bench.event(), 5)
    total, most = sum(count for count, _ in taken), rate * (took + _BURST_S)
    refused = sum(was for _, was in taken)
    bench.figures["events_taken"], bench.figures["offering_s"] = total, took
    if total <= most and not refused:
        bench.cannot_tell(f"the service took {total} events in {took:.1f} s: never over its quota")
    bench.judge(
        verdict_of(total <= most, f"at most {most:.0f} in {took:.2f} s", f"{total} events"),
        verdict_of(total >= rate / 2, "what is promised is taken", f"{total} events"),
        verdict_of(refused == len(clients), "each address refused in the end", f"{refused} were"),
    )


def largest_batch(bench: Bench) -> tuple[bytes, int]:
    """Return the frame of the largest publication the profile allows, and its events."""
    event = bench.event()
    del event[bench.target.publish.id_field]  # a repeat is stored once
    encoded = json.dumps(event)
    room = int((bench.promises.max_message_bytes or 65_536) * 0.9) // (len(encoded) + 1)
    size = max(1, min(bench.target.publish.batch_events, room))
    text = fill(bench.target.publish.message, {"event": ",".join([encoded] * size)})
    return encode_frame(text.encode()), size


async def publish_until_refused(
    client: Client, frame: bytes, size: int, events: int, acknowledged: str, refusal: str
) -> tuple[int, bool]:
    """Publish until refused or done; return the events taken, and whether there was a refusal.

    `frame` publishes `size` events, and `events` are offered in all.
    """
    taken, left = 0, events // size + 1
    at_once = 1 if size > 1 else _AT_ONCE
    while left > 0:
        count = min(at_once, left)
        if not await client.peer.send(frame * count, f"{count} publications of {size} events"):
            return taken, True
        left -= count
        while count:
            heard = await client.peer.receive(10)
            if heard.kind in ENDS or heard.kind == "silence":
                return taken, heard.kind != "silence"
            if heard.kind == "text" and refusal in heard.text:
                return taken, True
            if heard.kind == "text" and acknowledged in heard.text:
                taken += size
                count -= 1
    return taken, False
