"""The page for hours: smooth at 1,000 events/s, and no larger than after the first minute.

As a test it is seconds at that rate, and many events as fast as the page takes them; `make soak`
keeps the rate for half an hour.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.dashboard.barepage import BarePage, open_bare_page
from tests.dashboard.kit import failed, many, now, open_source, start
from tests.running import RunningMonitor

pytestmark = [pytest.mark.slow, pytest.mark.alone]

Start = Callable[..., RunningMonitor]

SECONDS = int(os.environ.get("WSPROOF_SOAK_S", "5"))
#: Events taken as fast as the page can; it must have grown no further after the first part.
PARTS, PART = 10, 10_000
#: What a heap without garbage may differ by, in bytes, while nothing grows.
HEAP_NOISE = 4e6


@pytest.fixture
def monitor(start_monitor: Start) -> RunningMonitor:
    # A log that holds a whole part: the page is to take every event, however slow this machine.
    return start_monitor(publish_events_per_s=1_000_000, log_bytes=64 * 2**20)


@pytest.fixture
def page(monitor: RunningMonitor, tmp_path: Path) -> Iterator[BarePage]:
    token = monitor.token(ttl_s=SECONDS + 600)
    with open_bare_page(f"{monitor.http}/#token={token}", tmp_path / "profile") as opened:
        yield opened


def test_at_a_thousand_events_a_second_the_page_is_smooth_and_does_not_grow(
    monitor: RunningMonitor, page: BarePage
) -> None:
    at_a_rate(monitor, 2_000, seconds=3)  # fills all that is bounded: log and rows
    page.wait_text("counts", "6,000 events received")
    page.evaluate(WATCH_FRAMES)
    at_a_rate(monitor, 0, seconds=3)  # what this machine makes of a page with nothing to do
    idle_frames, idle_slow = page.evaluate("window.stopFrames()")
    before = page.metrics()
    page.evaluate(WATCH_FRAMES)
    at_a_rate(monitor, 1_000, seconds=SECONDS)
    total = 6_000 + 1_000 * SECONDS
    page.wait_text("counts", f"{total:,} events received")
    frames, slow = page.evaluate("window.stopFrames()")
    after = page.metrics()
    assert " 0 missed" in page.text("counts")
    # Ten frames a second is where movement stops looking like movement.
    said = f"{slow} of {frames} frames took 100 ms or longer, idle {idle_slow} of {idle_frames}"
    print(f"{SECONDS} s: {said}")  # shown with -s
    assert slow / frames < 0.01 + idle_slow / idle_frames, said
    work = sum(after[name] - before[name] for name in WORK)
    assert work < SECONDS / 2, f"the page worked {work} s of {SECONDS} s"
    assert_not_grown(before, after)


def test_after_a_hundred_thousand_events_of_ever_new_runs_and_phases_it_has_not_grown(
    monitor: RunningMonitor, page: BarePage
) -> None:
    sizes = []
    with open_source(monitor) as source:
        events = ever_new()
        for number in range(1, PARTS + 1):
            source.publish(*(next(events) for _ in range(PART)))
            page.wait_text("counts", f"{number * PART:,} events received")
            sizes.append(page.metrics())
    assert " 0 missed" in page.text("counts")
    # What is bounded (rows, runs, phases) is cut in steps, so its size swings: the first half has
    # seen all of it, and the second must stay within that.
    assert_not_grown(largest(sizes[: PARTS // 2]), largest(sizes[PARTS // 2 :]))
    kept = "['run', 'filter-phase'].map((id) => document.getElementById(id).options.length)"
    assert page.evaluate(kept) == [51, 201]  # 50 runs and the newest, 200 phases and all


def largest(sizes: list[dict[str, float]]) -> dict[str, float]:
    return {name: max(size[name] for size in sizes) for name in ("Nodes", "JSHeapUsedSize")}


def assert_not_grown(before: dict[str, float], after: dict[str, float]) -> None:
    assert after["Nodes"] < before["Nodes"] * 1.2
    assert after["JSHeapUsedSize"] < before["JSHeapUsedSize"] + HEAP_NOISE


def ever_new() -> Iterator[dict[str, object]]:
    """Yield events of kinds that are never thinned, for ever: runs of 400 events, 8 phases each."""
    run = 0
    while True:
        run += 1
        for number in range(8):
            of = {"run": f"run {run}", "phase": f"phase {run}.{number}"}
            yield start(of["phase"], run=of["run"])
            saved = {"timestamp": now(), "path": f"{run}/{number}.json", "message": "m" * 60, **of}
            for _ in range(24):
                yield {"type": "checkpoint_created", **saved}
                yield {"type": "file_trashed", **saved}
            yield failed(of["phase"], "no paper in the tray", run=of["run"])


#: Where the page spends time of its own.
WORK = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")

WATCH_FRAMES = """
(() => {
  let frames = 0;
  let slow = 0;
  let last = performance.now();
  let running = true;
  const frame = (now) => {
    frames += 1;
    if (now - last >= 100) slow += 1;
    last = now;
    if (running) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  window.stopFrames = () => { running = false; return [frames, slow]; };
})()
"""


def at_a_rate(monitor: RunningMonitor, per_second: int, *, seconds: int) -> None:
    """Publish on a schedule, twenty batches a second."""
    batch = many(per_second // 20)
    with open_source(monitor) as source:
        began = time.monotonic()
        for number in range(seconds * 20):
            # The schedule itself is what is waited for: there is no event to await.
            time.sleep(max(0.0, began + number / 20 - time.monotonic()))
            if batch:
                source.publish(*batch)
