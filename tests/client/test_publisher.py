import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import islice

import pytest

from monitor.client import (
    AsyncPublisher,
    AsyncSubscriber,
    Event,
    ForbiddenError,
    Publisher,
    Subscriber,
    UnauthorizedError,
)
from monitor.contract.verdicts import UsageError
from tests.running import RunningMonitor

pytestmark = pytest.mark.slow


#: A port below those that programs are given.
NOBODY_LISTENS = "ws://127.0.0.1:1"


def stored(monitor: RunningMonitor, count: int) -> list[Event]:
    """Return the first `count` events the monitor has stored."""
    subscriber = Subscriber(monitor.url, monitor.token("subscribe"), since=0)
    return list(islice((event for event in subscriber if not event.snapshot), count))


def test_a_phase_arrives_complete_and_in_order(monitor: RunningMonitor) -> None:
    with (
        Publisher(monitor.url, monitor.token("publish"), run="r1") as publisher,
        publisher.phase("writer") as phase,
    ):
        for percent in range(100):
            phase.progress(percent)
        phase.checkpoint("site/a.json")
    assert publisher.tally.acknowledged == 103
    events = stored(monitor, 103)
    assert [event.type for event in events] == [
        "phase_start",
        *["phase_progress"] * 100,
        "checkpoint_created",
        "phase_complete",
    ]
    assert [event.progress for event in events[1:101]] == list(range(100))
    assert {event.run for event in events} == {"r1"}
    assert [event.offset for event in events] == list(range(1, 104))


async def test_the_asynchronous_publisher_delivers_before_it_closes(
    monitor: RunningMonitor,
) -> None:
    async with AsyncPublisher(monitor.url, monitor.token("publish")) as publisher:
        assert await publisher.wait_connected(30)
        with publisher.phase("writer"):
            pass
        flushed = await publisher.flush(5)
    assert (flushed.acknowledged, flushed.waiting) == (2, 0)
    assert (await publisher.close()).acknowledged == 2


def test_a_killed_monitor_costs_nothing_and_repeats_nothing(monitor: RunningMonitor) -> None:
    total = 3_000
    subscriber = Subscriber(monitor.url, monitor.token("subscribe"), since=0)
    received: list[Event] = []

    def listen() -> None:
        events = (event for event in subscriber if not event.snapshot)
        received.extend(islice(events, total))

    listener = threading.Thread(target=listen)
    listener.start()
    with Publisher(monitor.url, monitor.token("publish")) as publisher:
        assert publisher.wait_connected(30)
        ids = []
        for number in range(total):
            ids.append(publisher.checkpoint(f"{number}.json"))
            if number == total // 2:
                while not publisher.tally.acknowledged:
                    time.sleep(0)  # yields to the delivering thread: no event tells of this
                monitor.kill()
        assert publisher.tally.acknowledged < total
        monitor.start()
        tally = publisher.flush(60)
    listener.join(60)
    assert not listener.is_alive()
    assert (tally.acknowledged, tally.dropped, tally.refused) == (total, 0, 0)
    assert [event.id for event in received] == ids
    assert [event.offset for event in received] == list(range(1, total + 1))


def test_an_event_the_monitor_refuses_does_not_hold_up_the_others(
    monitor: RunningMonitor, caplog: pytest.LogCaptureFixture
) -> None:
    with Publisher(monitor.url, monitor.token("publish")) as publisher:
        publisher.checkpoint("before.json")
        publisher.publish("phase_sideways", phase="writer")
        publisher.checkpoint("after.json")
    assert (publisher.tally.acknowledged, publisher.tally.refused) == (2, 1)
    assert [event.path for event in stored(monitor, 2)] == ["before.json", "after.json"]
    assert "was refused by the monitor" in caplog.text


def test_without_a_monitor_a_pipeline_gets_one_warning_and_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Publisher(NOBODY_LISTENS, "a-token") as publisher:
        assert not publisher.wait_connected(30)
        with publisher.phase("writer") as phase:
            phase.progress(50)
    assert publisher.tally.waiting == 3
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "connection refused" in warnings[0].getMessage()


def test_a_full_outbox_drops_progress_and_counts_it(caplog: pytest.LogCaptureFixture) -> None:
    with Publisher(NOBODY_LISTENS, max_waiting=10) as publisher:
        with publisher.phase("writer") as phase:
            for percent in range(100):
                phase.progress(percent)
        assert publisher.tally.dropped == 92
    assert publisher.tally.waiting == 10
    assert sum("no room for more" in record.getMessage() for record in caplog.records) == 1


def test_a_refused_token_is_told_once_and_never_shown(
    monitor: RunningMonitor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl"
    with Publisher(monitor.url, token) as publisher:
        publisher.wait_connected(30)
        publisher.checkpoint("a.json")
    assert isinstance(publisher.error, UnauthorizedError)
    assert sum("no longer sent" in record.getMessage() for record in caplog.records) == 1
    assert "c2VjcmV0" not in caplog.text + repr(publisher) + str(vars(publisher))


def test_a_token_read_from_a_file_with_its_line_end_will_do(monitor: RunningMonitor) -> None:
    with Publisher(monitor.url, f" {monitor.token('publish')}\n") as publisher:
        publisher.trashed("a")
        assert publisher.flush(10).acknowledged == 1


@pytest.mark.parametrize("token", ["", "s3cr3t\ns3cr3t", "s3cr3té", "s3cr3t s3cr3t", b"s3cr3t"])
def test_what_no_token_is_like_is_refused_and_not_shown(
    monitor: RunningMonitor, caplog: pytest.LogCaptureFixture, token: str
) -> None:
    with Publisher(monitor.url, token) as publisher:
        publisher.trashed("a")
        assert publisher.flush(10).acknowledged == 0
    assert "the token is empty, or has characters that no token has" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_a_token_without_the_publish_scope_is_told_what_it_lacks(monitor: RunningMonitor) -> None:
    with Publisher(monitor.url, monitor.token("subscribe")) as publisher:
        publisher.checkpoint("a.json")
        publisher.flush(5)
        assert isinstance(publisher.error, ForbiddenError)
        assert "`publish` scope" in str(publisher.error)
    assert publisher.tally.waiting == 1


def test_a_token_that_expires_is_followed_by_a_fresh_one(monitor: RunningMonitor) -> None:
    tokens = iter([monitor.token("publish", ttl_s=2), monitor.token("publish")])
    with Publisher(monitor.url, lambda: next(tokens)) as publisher:
        publisher.checkpoint("1.json")
        publisher.flush(5)
        while publisher._connector.links_opened < 2:
            publisher.checkpoint("more.json")
            assert publisher.flush(5).waiting == 0
        assert publisher.error is None


@pytest.mark.parametrize(
    "url", ["localhost:4001", "http://localhost:4001", "ws://", "ws://localhost:4001/?token=abc"]
)
def test_a_url_that_cannot_be_a_monitors_is_refused_at_once(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        Publisher(url)
    assert "abc" not in str(refused.value)


async def test_a_subscriber_that_is_cancelled_leaves_no_task_behind(
    monitor: RunningMonitor,
) -> None:
    async def listen() -> None:
        async for _ in AsyncSubscriber(monitor.url, token):
            pass

    token = monitor.token("subscribe")
    before = asyncio.all_tasks()
    task = asyncio.create_task(listen())
    await asyncio.wait({task}, timeout=0.5)
    task.cancel()
    await asyncio.wait({task})
    assert asyncio.all_tasks() == before


def test_a_token_function_that_fails_once_is_asked_again(
    monitor: RunningMonitor, caplog: pytest.LogCaptureFixture
) -> None:
    token = monitor.token("publish")
    answers = iter([RuntimeError("vault says s3cret"), 5, token])

    def reveal() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]

    with Publisher(monitor.url, reveal) as publisher:
        publisher.checkpoint("a.json")
        assert publisher.flush(20).acknowledged == 1
    assert "failed with RuntimeError" in caplog.text
    assert "s3cret" not in caplog.text


def test_what_is_reported_before_the_block_is_sent_in_it(
    monitor: RunningMonitor, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = Publisher(monitor.url, monitor.token("publish"))
    publisher.checkpoint("early.json")
    assert "within the publisher's `with` block" in caplog.text
    with publisher:
        pass
    assert publisher.tally.acknowledged == 1


def test_what_is_reported_after_the_end_is_dropped_and_told(
    monitor: RunningMonitor, caplog: pytest.LogCaptureFixture
) -> None:
    with Publisher(monitor.url, monitor.token("publish")) as publisher:
        pass
    publisher.checkpoint("late.json")
    publisher.checkpoint("later.json")
    assert publisher.tally.dropped == 2
    assert caplog.text.count("the publisher is closed") == 1


def test_a_forked_child_neither_hangs_nor_sends_with_its_parents_connection(
    monitor: RunningMonitor,
) -> None:
    program = """
import logging, os, sys
from monitor.client import Publisher
with Publisher(sys.argv[1], sys.argv[2]) as publisher:
    publisher.checkpoint("parent.json")
    publisher.flush(10)
    child = os.fork()
    if child == 0:
        publisher.checkpoint("child.json")
        os._exit(7 if publisher.close().dropped == 1 else 8)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    publisher.checkpoint("parent again.json")
print(publisher.tally.acknowledged)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, monitor.url, monitor.token("publish")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["7", "2"]
    assert "does not survive a fork" in done.stderr


def test_a_program_that_ends_without_closing_delivers_what_waits(monitor: RunningMonitor) -> None:
    program = (
        "import sys\n"
        "from monitor.client import Publisher\n"
        "publisher = Publisher(sys.argv[1], sys.argv[2]).__enter__()\n"
        "assert publisher.wait_connected(30)\n"
        "for number in range(300):\n"
        "    publisher.trashed(f'file-{number}')\n"
    )
    command = [sys.executable, "-c", program, monitor.url, monitor.token("publish")]
    subprocess.run(command, check=True, timeout=60)
    assert [event.path for event in stored(monitor, 300)] == [f"file-{n}" for n in range(300)]


def test_a_program_that_ends_without_closing_is_not_held_up_for_long() -> None:
    program = (
        "import sys\n"
        "from monitor.client import Publisher\n"
        "Publisher(sys.argv[1], 'token').__enter__().trashed('file')\n"
    )
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", program, NOBODY_LISTENS], check=True, timeout=60)
    assert time.monotonic() - begun < 15  # two seconds, and those of a slow machine


def test_a_quota_below_a_batch_is_learnt_once_and_not_run_into_until_cut_off(
    start_monitor: Callable[..., RunningMonitor],
) -> None:
    monitor = start_monitor(publish_events_per_s=20)
    publisher = Publisher(monitor.url, monitor.token("publish"))
    for number in range(140):
        publisher.publish("phase_progress", phase="writer", progress=number % 100)
    with publisher:
        tally = publisher.flush(30.0)
    assert (tally.acknowledged, tally.waiting) == (140, 0)
    assert "4429" not in monitor.log
