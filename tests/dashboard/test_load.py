"""Many events: the page stays bounded and smooth, and when it cannot keep up it says so."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.dashboard.kit import Dashboard, now, open_source, progress, publish, start
from tests.running import RunningMonitor

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession

pytestmark = pytest.mark.slow

Start = Callable[..., RunningMonitor]
Open = Callable[..., Dashboard]


def many(count: int, **fields: object) -> list[dict[str, object]]:
    phases = [f"phase {number}" for number in range(8)]
    return [progress(phases[n % 8], n % 101, run="r", **fields) for n in range(count)]


def watching(start_monitor: Start, open_page: Open, **flags: object) -> Dashboard:
    monitor = start_monitor(publish_events_per_s=1_000_000, **flags)
    dashboard = open_page(monitor, f"#token={monitor.token()}")
    dashboard.wait("live")
    return dashboard


def test_ten_thousand_events_are_all_taken_and_few_are_kept(
    start_monitor: Start, open_page: Open
) -> None:
    dashboard = watching(start_monitor, open_page)
    # Of a kind that is never thinned: however slow this machine, the page must get each.
    saved = {"type": "checkpoint_created", "timestamp": now(), "run": "r"}
    files = [{**saved, "phase": f"phase {n % 8}", "path": f"{n}.json"} for n in range(10_000)]
    publish(dashboard.monitor, *files)
    dashboard.wait_text("#counts", "10,000 events received")
    dashboard.wait_text("#log-count", "500 shown of 5,000 kept")
    dashboard.wait_count(".event", 500)
    assert dashboard.counts() == (10_000, 0)
    kept = [event["offset"] for event in dashboard.download()]
    assert kept == list(range(5_001, 10_001))
    dashboard.wait_count("#timeline .mark", 400)
    publish(dashboard.monitor, *files[:10])
    dashboard.wait_text("#counts", "10,010 events received")
    dashboard.wait_count(".event", 500)
    dashboard.page.get_by_label("Text").fill("99.json")
    dashboard.wait_count(".event", 50)  # 5099.json, 5199.json … 9999.json


@pytest.mark.parametrize(
    ("log_bytes", "why"),
    [(64 * 2**20, "this page could not keep up"), (2**20, "the monitor no longer has them")],
)
def test_a_tab_that_stands_still_is_told_what_it_was_not_sent(
    start_monitor: Start, open_page: Open, log_bytes: int, why: str
) -> None:
    dashboard = watching(start_monitor, open_page, log_bytes=log_bytes)
    monitor = dashboard.monitor
    total = 12_000
    message = "page by page " * 20
    events = [start("first"), *many(total - 2, message=message)]
    publishing = threading.Thread(target=publish, args=(monitor, *events))
    publishing.start()
    # While its script is busy, a tab reads nothing from the connection.
    dashboard.page.evaluate(f"({STAND_STILL})(2_500)")
    publishing.join()
    publish(monitor, start("last", run="r"))
    dashboard.wait_text(".phase h3", "last")
    dashboard.wait_text("#gap-text", why)
    received, missed = dashboard.counts()
    assert missed > 0
    assert received + missed == total
    gaps = [event for event in dashboard.download() if event["type"] == "gap"]
    assert sum(gap["omitted"] for gap in gaps) == missed
    assert dashboard.text("#state-word") == "Live"


STAND_STILL = """
(milliseconds) => {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}
"""


@pytest.mark.alone
def test_at_a_thousand_events_a_second_the_page_is_smooth_and_does_not_grow(
    start_monitor: Start, open_page: Open
) -> None:
    dashboard = watching(start_monitor, open_page)
    measured = dashboard.context.new_cdp_session(dashboard.page)
    measured.send("Performance.enable")
    at_a_rate(dashboard.monitor, 2_000, seconds=3)  # fills all that is bounded: log and rows
    dashboard.wait_text("#counts", "6,000 events received")
    before = metrics(measured)
    dashboard.page.evaluate(WATCH_FRAMES)
    at_a_rate(dashboard.monitor, 1_000, seconds=5)
    dashboard.wait_text("#counts", "11,000 events received")
    frames = dashboard.page.evaluate("window.stopFrames()")
    after = metrics(measured)
    assert dashboard.counts() == (11_000, 0)
    frames.sort()
    # Ten frames a second is where movement stops looking like movement.
    assert frames[int(len(frames) * 0.99)] < 100, frames[-20:]
    # The page's own work; the rest is the browser reporting every frame to this test.
    work = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
    assert sum(after[name] - before[name] for name in work) < 2.5, "seconds in 5 s"
    assert after["Nodes"] < before["Nodes"] * 1.2
    assert after["JSHeapUsedSize"] < before["JSHeapUsedSize"] + 4e6


WATCH_FRAMES = """
() => {
  const gaps = [];
  let last = performance.now();
  let running = true;
  const frame = (now) => {
    gaps.push(now - last);
    last = now;
    if (running) requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  window.stopFrames = () => { running = false; return gaps; };
}
"""


def at_a_rate(monitor: RunningMonitor, per_second: int, *, seconds: int) -> None:
    """Publish on a schedule, twenty batches a second."""
    batch = many(per_second // 20)
    with open_source(monitor) as source:
        began = time.monotonic()
        for number in range(seconds * 20):
            # The schedule itself is what is waited for: there is no event to await.
            time.sleep(max(0.0, began + number / 20 - time.monotonic()))
            source.publish(*batch)


def metrics(measured: "CDPSession") -> dict[str, float]:
    """Return the page's metrics once its garbage is gone."""
    measured.send("HeapProfiler.collectGarbage")
    found = measured.send("Performance.getMetrics")["metrics"]
    return {metric["name"]: metric["value"] for metric in found}
