"""What a subscriber makes of the order of messages, against a server that scripts it."""

import json
from contextlib import aclosing

from websockets.asyncio.server import ServerConnection

from monitor.client import AsyncSubscriber, Event, Gap, Position, Subscribed
from monitor.client.subscriber import Item
from tests.client.foreign import AUTH_OK, answering


def event(offset: int) -> str:
    return json.dumps(
        {
            "type": "file_trashed",
            "timestamp": "2025-01-01T12:00:00Z",
            "path": str(offset),
            "offset": offset,
        }
    )


def fence(ref: int, offset: int, *, recovered: bool, epoch: str = "e") -> str:
    fields = {"epoch": epoch, "offset": offset, "recovered": recovered, "count": 0}
    return json.dumps({"type": "subscribed", "ref": ref, **fields})


async def take(subscriber: AsyncSubscriber, count: int) -> list[Item]:
    async with aclosing(subscriber.items()) as items:
        return [await anext(items) for _ in range(count)]


def offsets(items: list[Item]) -> list[int | None]:
    return [item.offset for item in items if isinstance(item, Event)]


async def test_events_of_the_cursor_being_replaced_are_not_shown_twice() -> None:
    async def serve(connection: ServerConnection) -> None:
        await connection.send(AUTH_OK)
        probe = json.loads(await connection.recv())
        await connection.send(fence(probe["ref"], 3, recovered=False))
        wanted = json.loads(await connection.recv())
        assert wanted["since"] == {"epoch": "e", "offset": 2}
        await connection.send(event(4))  # published meanwhile: still of the first cursor
        await connection.send(fence(wanted["ref"], 4, recovered=True))
        await connection.send(event(3))
        await connection.send(event(4))
        await connection.wait_closed()

    async with answering(serve) as url:
        assert offsets(await take(AsyncSubscriber(url, "t", since=2), 3)) == [3, 4]


async def test_a_lost_link_is_resumed_after_the_last_event_seen() -> None:
    asked: list[object] = []

    async def serve(connection: ServerConnection) -> None:
        await connection.send(AUTH_OK)
        wanted = json.loads(await connection.recv())
        asked.append(wanted.get("since"))
        await connection.send(fence(wanted["ref"], 5, recovered=len(asked) > 1))
        await connection.send(event(5 + len(asked)))
        await connection.close(1012)

    async with answering(serve) as url:
        items = await take(AsyncSubscriber(url, "t"), 4)
    assert asked == [None, {"epoch": "e", "offset": 6}]
    assert offsets(items) == [6, 7]


async def test_a_gap_keeps_the_position_at_the_last_event_seen() -> None:
    async def serve(connection: ServerConnection) -> None:
        await connection.send(AUTH_OK)
        wanted = json.loads(await connection.recv())
        await connection.send(fence(wanted["ref"], 0, recovered=False))
        await connection.send('{"type":"gap","from":1,"to":9,"omitted":8,"reason":"thinned"}')
        await connection.send(event(7))
        await connection.wait_closed()

    async with answering(serve) as url:
        subscriber = AsyncSubscriber(url, "t")
        items = await take(subscriber, 3)
    assert items[1] == Gap(start=1, end=9, omitted=8, reason="thinned")
    assert subscriber.position == Position("e", 7)


async def test_another_epoch_begins_a_new_position() -> None:
    async def serve(connection: ServerConnection) -> None:
        await connection.send(AUTH_OK)
        wanted = json.loads(await connection.recv())
        await connection.send(fence(wanted["ref"], 40, recovered=False, epoch="new"))
        await connection.wait_closed()

    async with answering(serve) as url:
        subscriber = AsyncSubscriber(url, "t", since=Position("old", 90))
        (only,) = await take(subscriber, 1)
    assert isinstance(only, Subscribed)
    assert subscriber.position == Position("new", 40)
