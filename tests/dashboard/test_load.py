"""Many events: the page keeps what it is bounded to, and when it cannot keep up it says so."""

import threading
from collections.abc import Callable

import pytest

from tests.dashboard.kit import Dashboard, many, now, publish, start
from tests.running import RunningMonitor

pytestmark = pytest.mark.slow

Start = Callable[..., RunningMonitor]
Open = Callable[..., Dashboard]


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
    dashboard.wait_text("#log-count", "500 of 5,000 shown")
    dashboard.wait_count(".event", 500)
    dashboard.wait_counts(10_000, 0)
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
    dashboard.page.evaluate(f"({STAND_STILL})(5_000)")
    publishing.join()
    publish(monitor, start("last", run="r"))
    dashboard.wait_text(".phase h3", "last")
    dashboard.wait_text("#gap-text", why)
    dashboard.page.evaluate(ALL_COUNTED, total)  # what it shows of "last" may come before the rest
    received, missed = dashboard.counts()
    assert missed > 0
    assert received + missed == total
    gaps = [event for event in dashboard.download() if event["type"] == "gap"]
    assert sum(gap["omitted"] for gap in gaps) == missed
    assert dashboard.text("#state-word") == "Live"


ALL_COUNTED = """
(total) => new Promise((resolve, reject) => {
  const counts = document.querySelector("#counts");
  const look = () => {
    const [received, missed] = ["received", "missed"].map((what) => {
      const found = counts.innerText.match(new RegExp(`([0-9,]+)( events?)? ${what}`));
      return found ? Number(found[1].replaceAll(",", "")) : 0;
    });
    if (received + missed === total) resolve();
  };
  new MutationObserver(look).observe(counts, {subtree: true, childList: true, characterData: true});
  setTimeout(() => reject(new Error(`not ${total}, but ${counts.innerText}`)), 30_000);
  look();
})
"""


STAND_STILL = """
(milliseconds) => {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}
"""
