"""Messages that are small on the wire and large once inflated."""

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.frames.compressing import compressing
from securitytests.catalogue.frames.conformance import PROMPTLY_S
from securitytests.catalogue.frames.size import not_too_big
from securitytests.catalogue.rates.calm import require_calm
from securitytests.catalogue.rates.enduring import judge_attack
from securitytests.check import Claim, check
from securitytests.judging import closed, verdict_of
from securitytests.probe.client import publication
from securitytests.probe.deflate import (
    BOMB_RATIO,
    bomb,
    compressed_fragments,
    compressed_frame,
    deflated,
)
from securitytests.probe.stream import PATIENCE_S

#: Frames the bomb in fragments comes in.
_FRAGMENTS = 4

#: Bytes on the wire of a bomb for whoever has shown no token: the first message may be so large.
_FIRST_MESSAGE_BYTES = 8_000


@check(
    id="FR9",
    title="The limit of a message holds after inflation",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.HIGH,
    references=("CWE-409", "RFC6455-10.4"),
    remediation="Give the inflater what is left of the limit as its bound; close where it is met.",
    cost_s=2.0,
    tier="destructive",
    variant="compression",
    alone=True,
)
async def compression_bomb(bench: Bench) -> None:
    """A limit on what comes is no limit on what becomes of it: a byte may stand for a thousand.

    On the service with inbound compression come messages that are far below
    `promises.max_message_bytes` on the wire and beyond it once inflated: five hundred times as
    large, larger by one byte, larger only all fragments together, and before authentication. Each
    must be closed as `answers.too_big` says, while the service keeps within what it promises of an
    attack: who inflates first and then measures does not. A message of exactly the limit must not
    be refused for its size, and a compressed publication be taken.
    """
    limit = int(bench.promised("max_message_bytes"))
    token = await bench.token("publish")
    await require_calm(bench)
    async with bench.watching("bombs") as seen:
        bombs = {
            "a bomb": [compressed_frame(bomb(BOMB_RATIO * (limit // 2)))],
            "one byte more": [compressed_frame(bomb(limit + 1))],
            "in fragments": _in_fragments(limit),
        }
        for name, frames in bombs.items():
            await _refused(bench, name, frames, token)
        if "message" in bench.methods:
            first = bomb(BOMB_RATIO * min(limit, _FIRST_MESSAGE_BYTES))
            await _refused(bench, "before authentication", [compressed_frame(first)], token, False)
        with bench.variant("exactly the limit"):
            peer = await compressing(bench, token)
            await peer.send(compressed_frame(bomb(limit)), f"a message of {limit} bytes, inflated")
            bench.judge(await not_too_big(bench, peer))
        with bench.variant("a compressed publication"):
            await _publish(bench, token)
    with bench.variant("meanwhile"):
        await judge_attack(bench, seen)


def _in_fragments(limit: int) -> list[bytes]:
    """Return a message larger than the limit by a quarter, none of whose fragments is."""
    payload = bomb(limit + limit // 4)
    size = len(payload) // _FRAGMENTS
    return compressed_fragments(payload, (size,) * (_FRAGMENTS - 1))


async def _refused(
    bench: Bench, name: str, frames: list[bytes], token: str | None, authenticated: bool = True
) -> None:
    with bench.variant(name):
        peer = await compressing(bench, token, authenticated=authenticated)
        sent = sum(map(len, frames))
        await peer.send(b"".join(frames), f"{name}: {sent} bytes on the wire")
        ending = await peer.until_end(PROMPTLY_S)
        bench.judge(closed(ending, bench.answer("too_big"), within_s=PROMPTLY_S))


async def _publish(bench: Bench, token: str | None) -> None:
    """Publish a compressed event; it must arrive at a subscriber who does not compress.

    Raises:
        NotServedError: it did not.
    """
    identifier = bench.mark()
    subscriber = await bench.client()
    peer = await compressing(bench, token)
    text = publication(bench.target, bench.event(identifier))
    await peer.send(compressed_frame(deflated(text.encode())), "a compressed publication")
    heard = await subscriber.peer.until_text(identifier, PATIENCE_S)
    bench.judge(verdict_of(heard.kind == "text", "the event arrives", heard.kind))
