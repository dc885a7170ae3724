"""Messages larger than a service takes."""

import asyncio

from monitor.contract.promises import Answer
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.frames.conformance import PROMPTLY_S, PROTOCOL_ERROR
from securitytests.check import Claim, check
from securitytests.judging import Judgement, closed, verdict_of
from securitytests.probe.frames import Opcode, encode_frame
from securitytests.probe.peer import Ending, Peer


@check(
    id="FR5",
    title="An oversized message is refused before it is buffered",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.HIGH,
    references=("CWE-770", "RFC6455-7.4.1", "RFC6455-10.4"),
    remediation="Judge the length in the frame's header, added to what the message has so far.",
    cost_s=1.0,
    tier="destructive",
)
async def oversized(bench: Bench) -> None:
    """A service that first receives and then measures can be filled by a few peers.

    The header of a frame announces more than `promises.max_message_bytes`; its payload never
    comes. Then a message grows beyond the limit by fragments. Each must be refused as
    `answers.too_big` says, at once. A message of exactly the limit must not be.
    """
    limit = int(bench.promised("max_message_bytes"))
    expected = bench.answer("too_big")
    for excess in (1, limit, 64 * limit):
        with bench.variant(f"a header that announces {limit + excess} bytes"):
            peer = (await bench.client("publish")).peer
            header = encode_frame(b"", declared_length=limit + excess)
            await peer.send(header, f"header of {limit + excess} bytes")
            bench.judge(closed(await peer.until_end(PROMPTLY_S), expected, within_s=PROMPTLY_S))
    with bench.variant("fragments"):
        peer = (await bench.client("publish")).peer
        await peer.send(_fragments(limit), f"fragments of {limit} bytes and one more")
        bench.judge(closed(await peer.until_end(PROMPTLY_S), expected, within_s=PROMPTLY_S))
    with bench.variant("exactly the limit"):
        peer = (await bench.client("publish")).peer
        await peer.send(encode_frame(b"x" * limit), f"message of {limit} bytes")
        bench.judge(await not_too_big(bench, peer))


def _fragments(limit: int) -> bytes:
    """Return the limit in four fragments, and a fifth of one byte that is not the last."""
    quarter = b"x" * (limit // 4)
    rest = b"x" * (limit - 3 * len(quarter))
    return (
        encode_frame(quarter, Opcode.TEXT, fin=False)
        + encode_frame(quarter, Opcode.CONTINUATION, fin=False) * 2
        + encode_frame(rest, Opcode.CONTINUATION, fin=False)
        + encode_frame(b"x", Opcode.CONTINUATION, fin=False)
    )


async def not_too_big(bench: Bench, peer: Peer) -> Judgement:
    """Judge that a message just sent, of the promised size and no sense, was read as any other."""
    ending = await peer.until_end(0.5, stop_at="")
    bad_message = bench.target.answers.get("bad_message", Answer())
    return read_whole(ending, bench.answer("too_big"), bad_message)


def read_whole(ending: Ending, too_big: Answer, bad_message: Answer) -> Judgement:
    """Judge that a senseless message did not end the connection, unless a bad message's way.

    Ending it otherwise (a reset, no close frame, another code) is a limit below the promised one.
    """
    senseless = set(bad_message.close) - set(too_big.close)
    kept = not ending.ended or ending.code in senseless
    return verdict_of(kept, "read whole: answered, or closed as a bad message only", str(ending))


@check(
    id="FR6",
    title="A frame that announces up to 2⁶⁴ bytes is refused on its header",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.HIGH,
    references=("CWE-770", "RFC6455-5.2", "RFC6455-10.4"),
    remediation="Read the length as an unsigned number of 64 bits; compare before allocating.",
    cost_s=0.5,
    tier="destructive",
)
async def immense(bench: Bench) -> None:
    """A length that is cut to 32 bits, or taken for negative, passes a limit it should not.

    Headers announce lengths around 2³¹, 2³², 2⁶³ and 2⁶⁴. Each must be refused as `answers.too_big`
    says, or as a protocol error, for beyond 2⁶³ the length itself is illegal.
    """
    expected = bench.answer("too_big")
    allowed = Answer(close=(*expected.close, PROTOCOL_ERROR))

    async def announce(length: int) -> None:
        with bench.variant(f"{length} bytes announced"):
            peer = (await bench.client("publish")).peer
            header = encode_frame(b"", declared_length=length, length_bytes=8)
            await peer.send(header, f"header of {length} bytes")
            bench.judge(closed(await peer.until_end(PROMPTLY_S), allowed, within_s=PROMPTLY_S))

    lengths = (2**31, 2**32, 2**32 + 1, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
    await asyncio.gather(*(announce(length) for length in lengths))
