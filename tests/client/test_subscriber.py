from collections.abc import Iterator
from itertools import islice

import pytest

from monitor.client import (
    AsyncSubscriber,
    Event,
    ForbiddenError,
    Patience,
    Position,
    Publisher,
    Selection,
    Subscribed,
    Subscriber,
    UnreachableError,
)
from tests.running import RunningMonitor

pytestmark = pytest.mark.slow


def publish(monitor: RunningMonitor, *paths: str) -> None:
    with Publisher(monitor.url, monitor.token("publish")) as publisher:
        for path in paths:
            publisher.checkpoint(path)
    assert publisher.tally.acknowledged == len(paths)


def paths(events: Iterator[Event], count: int) -> list[str | None]:
    return [event.path for event in islice(events, count)]


def test_a_newcomer_gets_the_snapshot_then_the_fence_then_events(monitor: RunningMonitor) -> None:
    with Publisher(monitor.url, monitor.token("publish")) as publisher:
        publisher.publish("phase_update", phase="writer", status="in_progress", progress=45)
    items = Subscriber(monitor.url, monitor.token("subscribe")).items()
    state, fence = next(items), next(items)
    publish(monitor, "a.json")
    live = next(items)
    items.close()
    assert isinstance(state, Event)
    assert (state.snapshot, state.offset, state.progress) == (True, None, 45)
    assert isinstance(fence, Subscribed)
    assert (fence.offset, fence.recovered) == (1, False)
    assert isinstance(live, Event)
    assert (live.path, live.offset) == ("a.json", 2)


def test_a_position_is_where_another_subscriber_goes_on(monitor: RunningMonitor) -> None:
    publish(monitor, "1", "2", "3", "4")
    token = monitor.token("subscribe")
    first = Subscriber(monitor.url, token, since=0)
    assert paths(iter(first), 2) == ["1", "2"]
    assert first.position is not None
    assert first.position.offset == 2
    second = Subscriber(monitor.url, token, since=first.position)
    assert paths(iter(second), 2) == ["3", "4"]


def test_a_restart_is_bridged_without_loss_or_repetition(monitor: RunningMonitor) -> None:
    publish(monitor, "1", "2")
    items = Subscriber(monitor.url, monitor.token("subscribe"), since=0).items()
    before = list(islice(items, 3))
    monitor.stop()
    monitor.start()
    publish(monitor, "3")
    after = list(islice(items, 2))
    items.close()
    assert [item.path for item in before + after if isinstance(item, Event)] == ["1", "2", "3"]
    fences = [item.recovered for item in before + after if isinstance(item, Subscribed)]
    assert fences == [True, True]


def test_a_journal_begun_anew_is_recognised_as_a_loss(
    monitor: RunningMonitor, caplog: pytest.LogCaptureFixture
) -> None:
    publish(monitor, "1", "2")
    token = monitor.token("subscribe")
    old = Subscriber(monitor.url, token, since=0)
    paths(iter(old), 2)
    monitor.stop()
    for file in monitor.state.glob("journal.db*"):
        file.unlink()
    monitor.start()
    publish(monitor, "anew")
    assert old.position is not None
    again = Subscriber(monitor.url, token, since=old.position)
    items = again.items()
    fence = next(items)
    items.close()
    assert isinstance(fence, Subscribed)
    assert (fence.recovered, fence.offset) == (False, 1)
    assert again.position == Position(fence.epoch, 1)


def test_a_selection_admits_its_phases_only(monitor: RunningMonitor) -> None:
    subscriber = Subscriber(
        monitor.url, monitor.token("subscribe"), selection=Selection(phases=["lint"])
    )
    items = subscriber.items()
    next(items)
    with Publisher(monitor.url, monitor.token("publish")) as publisher:
        for phase in ("write", "lint"):
            publisher.publish("phase_start", phase=phase)
    event = next(items)
    items.close()
    assert isinstance(event, Event)
    assert event.phase == "lint"


def test_a_token_without_the_subscribe_scope_is_told_what_it_lacks(
    monitor: RunningMonitor,
) -> None:
    with pytest.raises(ForbiddenError, match="`subscribe` scope"):
        next(Subscriber(monitor.url, monitor.token("publish")).items())


async def test_patience_ends_when_the_monitor_does_not_come_back(monitor: RunningMonitor) -> None:
    subscriber = AsyncSubscriber(
        monitor.url, monitor.token("subscribe"), patience=Patience(first_s=0, again_s=0.5)
    )
    items = subscriber.items()
    await anext(items)
    monitor.kill()
    with pytest.raises(UnreachableError, match="connection refused"):
        await anext(items)
