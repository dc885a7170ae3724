"""The page for hours: smooth at 1,000 events/s, and no larger than after the first minute.

As a test it is seconds at that rate, and many events as fast as the page takes them; `make soak`
goes on for half an hour.
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

#: The rate is kept for some seconds, then the page only works as much for nothing, and so on.
#: Others on the machine come and go: what they do to the page at the rate, they do to that as well.
RATE_S, CONTROL_S = 2, 1
ROUND_S = RATE_S + CONTROL_S
ROUNDS = max(3, int(os.environ.get("WSPROOF_SOAK_S", "9")) // ROUND_S)
FIRST_TURNS = 4_000
#: The share of the time at the rate that the page may stand still on a machine of its own. Beyond
#: that, twice the share of the control, for the others' bursts hit the one or the other.
STILL = 0.01
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
    token = monitor.token(ttl_s=ROUNDS * ROUND_S + 600)
    with open_bare_page(f"{monitor.http}/#token={token}", tmp_path / "profile") as opened:
        yield opened


def test_at_a_thousand_events_a_second_the_page_is_smooth_and_does_not_grow(
    monitor: RunningMonitor, page: BarePage
) -> None:
    at_a_rate(monitor, 2_000, seconds=3)  # fills all that is bounded: log and rows
    total = 6_000
    page.wait_text("counts", f"{total:,} events received")
    before = page.metrics()
    page.evaluate(WATCH_FRAMES)
    turns, work = FIRST_TURNS, 0.0
    for _ in range(ROUNDS):
        began = worked(page)
        page.evaluate("window.watchFrames('rate')")
        at_a_rate(monitor, 1_000, seconds=RATE_S)
        total += 1_000 * RATE_S
        page.wait_text("counts", f"{total:,} events received")
        page.evaluate(f"window.watchFrames('control', {turns})")
        ended = worked(page)
        work += ended - began
        at_a_rate(monitor, 0, seconds=CONTROL_S)
        page.evaluate("window.watchFrames(null)")
        # As much a second as the page works at the rate; a first guess may be far off.
        turns_a_second = turns / max(worked(page) - ended, 0.001) * CONTROL_S
        turns = round(min(turns_a_second * (ended - began) / RATE_S, turns * 4)) + 1
    rate, control = page.evaluate("window.stopFrames()")
    after = page.metrics()
    assert " 0 missed" in page.text("counts")
    said = f"stood still for {rate:.2%} of the time at the rate, {control:.2%} of the control"
    print(f"{ROUNDS * ROUND_S} s: {said}; worked {work:.1f} s")  # shown with -s
    assert work < ROUNDS * RATE_S / 2, f"the page worked {work} s of {ROUNDS * RATE_S} s"
    assert rate < STILL + 2 * control, said
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


#: Where the page spends time of its own, in seconds of its thread's processor time.
WORK = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")


def worked(page: BarePage) -> float:
    """Return the processor seconds the page has worked."""
    now = page.metrics(collect_garbage=False)
    return sum(now[name] for name in WORK)


#: Adds up how long the page was watched and how long it stood still, at the rate and in the
#: control, in which it takes so many turns each time the page at the rate would draw. Ten frames a
#: second is where movement stops looking like movement: a longer frame is a standstill.
WATCH_FRAMES = """
(() => {
  const sums = { rate: [0, 0], control: [0, 0] };
  let kind = null;
  let turns = 0;
  let drawn = 0;
  let last = null; // the first frame after a change is of both
  const frame = (now) => {
    requestAnimationFrame(frame);
    if (kind !== null && last !== null) {
      sums[kind][0] += now - last;
      if (now - last >= 100) sums[kind][1] += now - last;
    }
    last = now;
    if (kind !== "control" || now - drawn < 80) return;
    drawn = now;
    for (let turn = 0; turn < turns; turn += 1) document.body.dataset.turn = turn;
  };
  requestAnimationFrame(frame);
  window.watchFrames = (watched, count = 0) => { [kind, turns, last] = [watched, count, null]; };
  window.stopFrames = () => {
    kind = null;
    return [sums.rate, sums.control].map(([watched, still]) => still / watched);
  };
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
