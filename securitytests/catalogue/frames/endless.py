"""Frames without end: fragments, single bytes, pings. Each costs next to nothing to send."""

import asyncio

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.frames.conformance import PROMPTLY_S
from securitytests.catalogue.frames.payloads import answered_with
from securitytests.catalogue.rates.enduring import endure
from securitytests.catalogue.rates.floods import Flood, Turn
from securitytests.check import Claim, check
from securitytests.judging import Judgement, closed, either, verdict_of
from securitytests.probe.client import publication
from securitytests.probe.frames import MAX_CONTROL_BYTES, Opcode, encode_frame
from securitytests.probe.peer import ENDS, Peer
from securitytests.probe.stream import PATIENCE_S

#: How long each flood lasts.
_FLOOD_S = 0.7

#: Bytes of small frames an address sends in a tick, and how long one send may take.
_FLOOD_BYTES = 32 * 1024
_SEND_S = 0.2

#: Connections an address holds incomplete frames on, where none are promised.
_HELD = 8

#: Bytes an incomplete frame lacks: more than come one by one.
_LACKING = 512

#: Largest message where the profile promises none.
_LARGEST_BYTES = 64 * 1024

#: Between two bytes of a first message.
_DRIBBLE_EVERY_S = 0.05

#: Pings of somebody who only measures the way.
_FEW_PINGS = 10

#: Masked with zeros, so that pieces of them can be repeated.
_BEGUN = encode_frame(b"", Opcode.TEXT, fin=False, mask=bytes(4))
_EMPTY = encode_frame(b"", Opcode.CONTINUATION, fin=False, mask=bytes(4))
_END = encode_frame(b"", Opcode.CONTINUATION, mask=bytes(4))
_TINY = encode_frame(b"x", Opcode.CONTINUATION, fin=False, mask=bytes(4))
_PING = encode_frame(b"", Opcode.PING, mask=bytes(4))
_PONG = encode_frame(b"", Opcode.PONG, mask=bytes(4))


def talking_on(begun: bytes, frame: bytes) -> Flood:
    """Return a flood of one frame after the other by peers that read nothing and never stop.

    `begun` is sent first on each connection. A service's close is not heard: only when it takes no
    more, or has let go of the connection, another is made.
    """
    frames = frame * (_FLOOD_BYTES // len(frame))

    async def make(bench: Bench) -> Turn:
        token = await bench.token("publish")

        async def turn(address: str, held: list[Peer]) -> int:
            if not held:
                client = await bench.client("publish", token=token, source=address)
                held.append(client.peer)
                await client.peer.send(begun, "the first frame", within=_SEND_S)
            if not await held[0].send(frames, "small frames", within=_SEND_S):
                held.pop().stream.abort()
            return len(frames) // len(frame)

        return turn

    return make


@check(
    id="FR7",
    title="A message comes in no more frames than promised, however small or empty they are",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.HIGH,
    references=("CWE-770", "RFC6455-5.4", "RFC6455-10.4"),
    remediation="Count the frames of a message, empty ones too, and stop listening at the limit.",
    cost_s=3.0,
    tier="destructive",
    server="own",
    alone=True,
)
async def endless_fragments(bench: Bench) -> None:
    """A limit of bytes never bites where no bytes come: an empty fragment costs six on the wire.

    Where the profile has `promises.max_fragments`, one frame more, empty, of a single byte, with
    pings between, as the last of its message, and before authentication, must be closed as
    `answers.too_many_fragments` says; twice as many as promised, in two messages, must not be.
    Then eight addresses send empty fragments, and such of a single byte, without end, whatever
    they are told: an honest pair must be served as `promises.attacked_*` say.
    """
    if bench.promises.max_fragments is not None:
        await _counted(bench, bench.promises.max_fragments)
    floods = {
        "empty_fragments": talking_on(_BEGUN, _EMPTY),
        "tiny_fragments": talking_on(_BEGUN, _TINY),
    }
    await endure(bench, floods, _FLOOD_S)


async def _counted(bench: Bench, most: int) -> None:
    """Judge that a message of `most` frames is taken, and one of more is not."""
    expected = bench.answer("too_many_fragments")
    endless = {
        "one more, empty": _BEGUN + _EMPTY * most,
        "one more, of a byte": _BEGUN + _TINY * most,
        "one more, with pings between": (_BEGUN + _PING) + (_EMPTY + _PING) * most,
        "one more, the last": _BEGUN + _EMPTY * (most - 1) + _END,
    }

    async def one(name: str, frames: bytes) -> None:
        with bench.variant(name):
            peer = (await bench.client("publish")).peer
            await peer.send(frames, f"{most + 1} fragments")
            bench.judge(closed(await peer.until_end(PROMPTLY_S), expected, within_s=PROMPTLY_S))

    await asyncio.gather(*(one(name, frames) for name, frames in endless.items()))
    if "message" in bench.methods:
        with bench.variant("one more, before authentication"):
            peer = await bench.connect()
            await peer.request(bench.handshake_request())
            await peer.send(_BEGUN + _EMPTY * most, f"{most + 1} fragments")
            either_way = either(expected, bench.answer("unauthenticated"))
            bench.judge(closed(await peer.until_end(PROMPTLY_S), either_way, within_s=PROMPTLY_S))
    with bench.variant("as many as promised, twice"):
        client = await bench.client("publish")
        for _ in range(2):
            await client.peer.send(_BEGUN + _TINY * (most - 2) + _END, f"{most} fragments")
            bench.judge(await answered_with(client, bench.answer("bad_message")))


@check(
    id="FR8",
    title="Frames that come one byte a write, or never to their end, cost bounded time and memory",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("CWE-400", "CWE-770", "RFC6455-10.4"),
    remediation="Keep what is incomplete once, go on where parsing stopped, set a deadline.",
    cost_s=3.0,
    tier="destructive",
    server="own",
    alone=True,
)
async def incomplete_frames(bench: Bench) -> None:
    """Who begins a frame and does not end it has the service keep it, and look at it again.

    A publication and a ping that come one byte a write must be taken like any other. A first
    message that dribbles must not put off the authentication deadline. Then eight addresses hold
    as many connections as they may, each with a frame of the largest size that lacks its end, and
    go on adding single bytes: an honest pair must be served as `promises.attacked_*` say.
    """
    await _byte_by_byte(bench)
    dribbling = asyncio.create_task(_dribbled_authentication(bench))
    try:
        await endure(bench, {"incomplete_frames": _incomplete}, _FLOOD_S)
        await dribbling
    finally:
        dribbling.cancel()
        await asyncio.gather(dribbling, return_exceptions=True)


async def _byte_by_byte(bench: Bench) -> None:
    with bench.variant("a publication, one byte a write"):
        pair, identifier = await bench.pair(), bench.mark()
        text = publication(bench.target, bench.event(identifier))
        await _dribble(pair.publisher.peer, encode_frame(text.encode()))
        heard = await pair.subscriber.peer.until_text(identifier, PATIENCE_S)
        bench.judge(verdict_of(heard.kind == "text", "the event arrives", heard.kind))
    with bench.variant("a ping, one byte a write"):
        peer = (await bench.client("publish")).peer
        await _dribble(peer, encode_frame(b"measured", Opcode.PING))
        bench.judge(await _answered(peer, b"measured"))


async def _dribble(peer: Peer, data: bytes, every_s: float = 0.0) -> None:
    """Send byte by byte, each as its own segment, until the service has hung up."""
    for at in range(len(data)):
        if not await peer.send(data[at : at + 1], "one byte"):
            return
        await asyncio.sleep(every_s)


async def _dribbled_authentication(bench: Bench) -> None:
    """Send the frame of a first message so slowly that the deadline passes."""
    deadline_s = bench.promises.authentication_deadline_s
    if "message" not in bench.methods or deadline_s is None:
        return
    with bench.variant("a first message that dribbles"):
        latest_s = deadline_s + bench.promises.tolerance_s
        frame = encode_frame(b"x" * int(2 * latest_s / _DRIBBLE_EVERY_S))
        peer = await bench.connect()
        await peer.request(bench.handshake_request())
        dribbling = asyncio.create_task(_dribble(peer, frame, _DRIBBLE_EVERY_S))
        ending = await peer.until_end(latest_s)
        dribbling.cancel()
        await asyncio.gather(dribbling, return_exceptions=True)
        expected = bench.answer("authentication_deadline")
        bench.judge(closed(ending, expected, within_s=latest_s))


async def _incomplete(bench: Bench) -> Turn:
    """Return a turn that begins one more large frame and adds a byte to each begun before."""
    size = bench.promises.max_message_bytes or _LARGEST_BYTES
    places = bench.promises.connections_per_address or _HELD
    begun = encode_frame(b"x" * (size - _LACKING), declared_length=size)
    token = await bench.token("publish")

    async def turn(address: str, held: list[Peer]) -> int:
        if len(held) < places:
            client = await bench.client("publish", token=token, source=address)
            held.append(client.peer)
            await client.peer.send(begun, f"{size - _LACKING} of {size} bytes", within=_SEND_S)
        for peer in tuple(held):
            if not await peer.send(b"x", "one byte", within=_SEND_S):
                held.remove(peer)
        return len(held)

    return turn


@check(
    id="FR10",
    title="A flood of pings or pongs harms nobody",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.HIGH,
    references=("CWE-770", "CWE-400", "RFC6455-5.5.2"),
    remediation="Bound the control frames of a connection; do not read from who does not read.",
    cost_s=4.0,
    tier="destructive",
    server="own",
    alone=True,
)
async def ping_flood(bench: Bench) -> None:
    """A ping is answered by the library, below all that counts requests; so is the millionth.

    The last of ten pings must be answered, as those before it may be. Where the profile has
    `promises.control_frames_per_window`, twice as many, empty or not, pings or pongs, must be
    closed as `answers.over_limit` says. Then eight addresses send
    pings without content, the largest pings, and pongs nobody asked for, without end, and read
    nothing, whatever they are told: an honest pair must be served as `promises.attacked_*` say.
    """
    with bench.variant("a few pings"):
        peer = (await bench.client("publish")).peer
        pings = [b"ping %d" % number for number in range(_FEW_PINGS)]
        frames = b"".join(encode_frame(content, Opcode.PING) for content in pings)
        await peer.send(frames, f"{_FEW_PINGS} pings")
        bench.judge(await _answered(peer, pings[-1]))
    if bench.promises.control_frames_per_window is not None:
        await _control_frames_counted(bench, bench.promises.control_frames_per_window)
    floods = {
        "empty_pings": talking_on(_PING, _PING),
        "largest_pings": talking_on(_PING, encode_frame(b"x" * MAX_CONTROL_BYTES, Opcode.PING)),
        "unasked_pongs": talking_on(_PONG, _PONG),
    }
    await endure(bench, floods, _FLOOD_S)


async def _control_frames_counted(bench: Bench, most: int) -> None:
    expected = bench.answer("over_limit")
    frames = {"empty pings": _PING, "pings": encode_frame(b"x", Opcode.PING), "pongs": _PONG}
    for name, frame in frames.items():
        with bench.variant(f"too many {name}"):
            peer = (await bench.client("publish")).peer
            await peer.send(frame * 2 * most, f"{2 * most} {name}")
            bench.judge(closed(await peer.until_end(PROMPTLY_S), expected, within_s=PROMPTLY_S))


async def _answered(peer: Peer, content: bytes) -> Judgement:
    """Judge that a ping is answered; of several only the last need be (RFC 6455 section 5.5.3)."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    heard = await peer.receive(PATIENCE_S)
    while heard.kind not in {"silence", *ENDS}:
        if heard.kind == "pong" and heard.text.encode("latin-1") == content:
            return verdict_of(True, "a pong with what the ping had", "it came")
        heard = await peer.receive(deadline - asyncio.get_running_loop().time())
    return verdict_of(False, "a pong with what the ping had", heard.kind)
