"""Floods: what a few addresses can do to a service at a steady rate, until they are stopped.

Each flood takes from every limit as much as it is given, and goes on when it is refused. The
bytes are made beforehand, so that making them costs the honest client next to nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from securitytests.bench import Bench
from securitytests.catalogue.frames.compressing import compressing
from securitytests.probe.client import NotServedError, publication
from securitytests.probe.deflate import BOMB_RATIO, bomb, compressed_frame
from securitytests.probe.frames import encode_frame
from securitytests.probe.peer import Peer
from securitytests.probe.stream import StreamEndedError, UnreachableError

#: Addresses that flood at a time.
ABUSERS = 8

#: How often each address does something.
_TICK_S = 0.04

#: Messages an address says in a tick.
_MESSAGES = 50

#: Connections an address tries to hold with slow handshakes or slow readers.
_HELD = 12

#: Bytes a slow reader's kernel takes before it is felt.
_SMALL_BUFFER_BYTES = 4_096

#: Largest frame of the flood of big frames, where the profile promises no limit.
_BIG_BYTES = 256 * 1024

#: What keeps one try of an abuser from its end; the flood goes on.
_STOPPED = (UnreachableError, StreamEndedError, NotServedError)

Turn = Callable[[str, list[Peer]], Awaitable[int]]

#: Makes a turn: what can be made beforehand, such as bytes and tokens, is made here.
Flood = Callable[[Bench], Awaitable[Turn]]


class Count:
    """What a flood has done so far.

    `done` counts requests or messages, `stopped` turns the service kept from their end; `idle` are
    the abusers that have not brought one turn to its end.
    """

    def __init__(self) -> None:
        self.done = 0
        self.stopped = 0
        self.idle: set[str] = set()


@contextlib.asynccontextmanager
async def flooding(bench: Bench, turn: Turn) -> AsyncIterator[Count]:
    """Have every abuser take turn after turn while the block runs.

    `turn` is given the abuser's address and the connections it keeps, does one thing, and returns
    how many requests or messages that was. What else than the service ends an abuser is raised
    when the block is done: there was no flood.
    """
    count = Count()

    async def abuse(address: str) -> None:
        held: list[Peer] = []
        while True:
            next_at = bench.now() + _TICK_S
            try:
                count.done += await turn(address, held)
                count.idle.discard(address)
            except _STOPPED:
                count.stopped += 1
            await asyncio.sleep(max(0.001, next_at - bench.now()))

    addresses = [bench.own_address() for _ in range(ABUSERS)]
    count.idle.update(addresses)
    tasks = [asyncio.create_task(abuse(address)) for address in addresses]
    try:
        yield count
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


async def handshakes(bench: Bench) -> Turn:
    """Return a turn that asks to come in with a bad token and does not wait for the answer."""
    requests = [
        bench.handshake_request(bench.credentials(bench.mark(), method)).encode()
        for method in bench.methods
    ]

    async def turn(address: str, held: list[Peer]) -> int:
        if len(held) > 4:
            held.pop(0).stream.abort()
        peer = await bench.connect(address)
        held.append(peer)
        await peer.stream.send(requests[len(held) % len(requests)], "handshake")
        return 1

    return turn


async def messages(bench: Bench) -> Turn:
    """Return a turn that says many messages at once on a connection that was let in."""
    keepalive = bench.target.keepalive
    text = keepalive.message if keepalive is not None else '{"no":"message"}'
    frames = encode_frame(text.encode()) * _MESSAGES
    token = await bench.token("publish")

    async def turn(address: str, held: list[Peer]) -> int:
        return await _say_on(bench, address, held, token, frames, _MESSAGES)

    return turn


async def big_frames(bench: Bench) -> Turn:
    """Return a turn that sends the largest message that is allowed, and one that is not."""
    size = bench.promises.max_message_bytes or _BIG_BYTES
    token = await bench.token("publish")
    largest = encode_frame(b"[" * size)
    too_big = encode_frame(b"", declared_length=64 * size) + b"x" * size
    turns = {"taken": 0}

    async def turn(address: str, held: list[Peer]) -> int:
        turns["taken"] += 1
        frame = too_big if turns["taken"] % 4 == 0 else largest
        return await _say_on(bench, address, held, token, frame, 1)

    return turn


async def _say_on(
    bench: Bench, address: str, held: list[Peer], token: str | None, data: bytes, count: int
) -> int:
    """Send on the abuser's one connection, made anew where the service has ended it."""
    if not held:
        client = await bench.client("publish", token=token, source=address)
        held.append(client.peer)
    sent = await held[0].send(data, f"{count} messages", within=0.5)
    ending = await held[0].until_end(0.001)
    if ending.ended or not sent:
        held.pop().stream.abort()
    return count


async def slow_handshakes(bench: Bench) -> Turn:
    """Return a turn that begins one more handshake and adds a byte to each begun before."""
    head = bench.handshake_request().encode()

    async def turn(address: str, held: list[Peer]) -> int:
        if len(held) < _HELD:
            held.append(await bench.connect(address))
            await held[-1].stream.send(head[:20], "start of a handshake")
        for peer in tuple(held):
            try:
                await peer.stream.send(b"x", "one byte", within=0.1)
            except StreamEndedError:
                held.remove(peer)
        return 1

    return turn


async def slow_readers(bench: Bench) -> Turn:
    """Return a turn that adds a subscriber who never reads, while large events are published."""
    token, flood = await bench.token("subscribe"), await apart(bench)
    publishers: dict[str, Peer] = {}
    field = next(iter(bench.target.events.text_fields), None) if bench.target.events else None
    room = (bench.promises.max_message_bytes or 65_536) // 4
    text = {} if field is None else {field: "y" * min(2_048, room)}
    event = bench.event(**text)
    del event[bench.target.publish.id_field]
    frames = encode_frame(publication(bench.target, event).encode()) * 8

    async def turn(address: str, held: list[Peer]) -> int:
        if len(held) < _HELD // 2:
            client = await bench.client(
                token=token, source=address, kernel_buffer_bytes=_SMALL_BUFFER_BYTES
            )
            held.append(client.peer)
        if address not in publishers:
            publishers[address] = (await bench.client("publish", token=flood)).peer
        await publishers[address].send(frames, "8 large events", within=0.5)
        await publishers[address].until_end(0.001)
        return 8

    return turn


async def apart(bench: Bench) -> str | None:
    """Return a publisher's token whose quota is not the honest publisher's, where there is one."""
    if bench.server.tokens.can_sign:
        return (await bench.signed("publish")).token
    return await bench.token("publish")


async def compression_bombs(bench: Bench) -> Turn:
    """Return a turn that sends a message a thousand times as large as it looks."""
    wire_bytes = (bench.promises.max_message_bytes or _BIG_BYTES) // 2
    frame = compressed_frame(bomb(BOMB_RATIO * wire_bytes))
    token = await bench.token("publish")

    async def turn(address: str, held: list[Peer]) -> int:
        if not held:
            held.append(await compressing(bench, token, source=address))
        return await _say_on(bench, address, held, token, frame, 1)

    return turn


#: What any service can be flooded with.
FLOODS: dict[str, Flood] = {
    "handshakes": handshakes,
    "messages": messages,
    "slow_handshakes": slow_handshakes,
    "slow_readers": slow_readers,
    "big_frames": big_frames,
}
