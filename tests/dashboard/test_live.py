"""What the page shows of a pipeline: phases, timeline, events, runs; and hostile ones as text."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.dashboard.kit import Dashboard, complete, failed, now, progress, publish, start
from tests.running import RunningMonitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

Start = Callable[..., RunningMonitor]
Open = Callable[..., Dashboard]


def watching(start_monitor: Start, open_page: Open, **options: object) -> Dashboard:
    monitor = start_monitor()
    dashboard = open_page(monitor, f"#token={monitor.token()}", **options)
    dashboard.wait("live")
    return dashboard


def phases(dashboard: Dashboard) -> list[str]:
    return dashboard.page.locator(".phase h3").all_inner_texts()


def build(monitor: RunningMonitor, root: Path) -> int:
    """Run the real documentation pipeline on `root`, reporting to the monitor."""
    command = [sys.executable, "-m", "scripts.pipeline", "--root", str(root)]
    command += ["--source", "README.md", "--monitor", monitor.url]
    token = monitor.token("publish", subject="pipeline")
    done = subprocess.run([*command, "--token", token], capture_output=True, check=False)
    return done.returncode


def test_the_real_pipeline_is_seen_from_start_to_end(
    start_monitor: Start, open_page: Open, tmp_path: Path
) -> None:
    dashboard = watching(start_monitor, open_page)
    (tmp_path / "README.md").write_text(
        "# Title\n\nText, and [a link](#title).\n\n## More\n\nEnd.\n"
    )
    assert build(dashboard.monitor, tmp_path) == 0
    dashboard.wait_text("#run-summary", "5 of 5 complete")
    assert phases(dashboard) == ["outline", "lint", "write", "links", "package"]
    assert {bar.get_attribute("value") for bar in dashboard.page.locator("progress").all()} == {
        "100"
    }
    dashboard.wait_count("#timeline rect.completed", 5)
    dashboard.wait_count("#timeline .mark.checkpoint", 5)
    assert dashboard.page.locator("#run option").nth(1).inner_text().endswith("· completed")


def test_a_broken_document_shows_as_the_failed_phase_with_its_error(
    start_monitor: Start, open_page: Open, tmp_path: Path
) -> None:
    dashboard = watching(start_monitor, open_page)
    (tmp_path / "README.md").write_text("# Title\n\n[nowhere](missing.md)\n")
    assert build(dashboard.monitor, tmp_path) == 1
    dashboard.wait_text("#run-summary", "1 failed")
    assert phases(dashboard)[0] == "links"
    assert "missing.md" in dashboard.text(".phase .error:visible")
    assert dashboard.text("#announcement") == "Phase links failed"
    assert dashboard.page.title().startswith("1 failed")


def test_a_phase_moves_while_one_watches(start_monitor: Start, open_page: Open) -> None:
    dashboard = watching(start_monitor, open_page)
    publish(dashboard.monitor, start("write"), progress("write", 45.9, message="chapter 3"))
    dashboard.wait_text(".phase .percent", "45 %")
    assert dashboard.text(".phase .said") == "chapter 3"
    assert dashboard.text(".phase .word") == "running"
    publish(dashboard.monitor, complete("write"))
    dashboard.wait_text(".phase .word", "completed")
    assert dashboard.page.locator("progress").get_attribute("value") == "100"


def test_a_running_clock_runs_and_stands_still_once_the_monitor_is_gone(
    start_monitor: Start, open_page: Open
) -> None:
    dashboard = watching(start_monitor, open_page, clock=True)
    publish(dashboard.monitor, start("write"))
    dashboard.wait_text(".phase .word", "running")
    dashboard.page.clock.run_for(65_000)
    dashboard.wait_text(".phase .time", re.compile("^1:0"))
    dashboard.expect_network_errors()
    dashboard.monitor.kill()
    # The title is drawn after the phases: both are of the time since.
    expect(dashboard.page).to_have_title(re.compile("^Reconnecting"))
    stood = dashboard.text(".phase .time")
    dashboard.page.clock.run_for(125_000)
    assert dashboard.text(".phase .time") == stood
    assert "What is shown is as of" in dashboard.text("#notice-text")


def test_a_page_opened_late_shows_the_past_as_well(start_monitor: Start, open_page: Open) -> None:
    monitor = start_monitor()
    created = {"type": "checkpoint_created", "timestamp": now(), "path": "a.json"}
    publish(monitor, start("one"), {**created, "phase": "one"}, complete("one"), start("two"))
    dashboard = open_page(monitor, f"#token={monitor.token()}")
    dashboard.wait("live")
    dashboard.wait_text("#run-summary", "1 of 2 complete")
    dashboard.wait_count("#timeline .bar", 2)
    dashboard.wait_count("#timeline .bar.unseen-start", 0)
    dashboard.wait_counts(4, 0)
    assert [event["offset"] for event in dashboard.download()] == [1, 2, 3, 4]


def test_states_older_than_the_past_asked_for_come_from_the_snapshot(
    start_monitor: Start, open_page: Open
) -> None:
    monitor = start_monitor()
    filler = [progress("long", n / 30, run="b") for n in range(2_500)]
    publish(monitor, start("old", run="a"), failed("old", "lost", run="a"), *filler)
    dashboard = open_page(monitor, f"#token={monitor.token()}")
    dashboard.wait("live")
    dashboard.wait_counts(2_000, 0)
    dashboard.page.locator("#run").select_option("=a")
    dashboard.wait_text(".phase .error", "lost")
    assert dashboard.text(".phase .time") == "–"  # when it began is not known
    dashboard.wait_count("#timeline .bar.unseen-start", 1)


def test_the_newest_run_is_followed_unless_another_is_chosen(
    start_monitor: Start, open_page: Open
) -> None:
    dashboard = watching(start_monitor, open_page)
    monitor = dashboard.monitor
    publish(monitor, start("a1", run="first"))
    dashboard.wait_text(".phase h3", "a1")
    publish(monitor, start("b1", run="second"), progress("a1", 50, run="first"))
    dashboard.wait_text(".phase h3", "b1")
    assert phases(dashboard) == ["b1"]
    dashboard.page.locator("#run").select_option("=first")
    dashboard.wait_text(".phase .percent", "50 %")
    assert phases(dashboard) == ["a1"]
    publish(monitor, start("c1", run="third"))
    dashboard.wait_text("#run option", "third · running")
    assert phases(dashboard) == ["a1"]
    dashboard.wait_count(".event", 2)
    dashboard.page.locator("#run").select_option("newest")
    dashboard.wait_text(".phase h3", "c1")


def test_events_are_filtered_by_type_phase_and_text(start_monitor: Start, open_page: Open) -> None:
    dashboard = watching(start_monitor, open_page)
    publish(
        dashboard.monitor,
        start("write"),
        progress("write", 10, message="Chapter Ten"),
        start("links"),
        progress("links", 20, message="twenty"),
    )
    said = dashboard.page.locator(".event .text")
    dashboard.wait_count(".event", 4)
    dashboard.page.get_by_label("Type").select_option("phase_progress")
    dashboard.wait_count(".event", 2)
    dashboard.page.get_by_label("Phase", exact=True).select_option("write")
    expect(said).to_have_text(["10 % · Chapter Ten"])
    assert [event["offset"] for event in dashboard.download()] == [2]
    dashboard.page.get_by_label("Phase", exact=True).select_option("")
    dashboard.page.get_by_label("Text").fill("TWENTY")
    expect(said).to_have_text(["20 % · twenty"])
    dashboard.page.get_by_label("Text").fill("nothing like it")
    dashboard.wait_text("#log-empty", "No event passes the filter.")


def test_a_paused_log_stands_still_and_says_what_waits(
    start_monitor: Start, open_page: Open
) -> None:
    dashboard = watching(start_monitor, open_page)
    publish(dashboard.monitor, start("write"))
    dashboard.wait_text(".event .about", "write")
    dashboard.page.get_by_role("button", name="Pause").click()
    publish(dashboard.monitor, *(progress("write", n) for n in range(3)))
    dashboard.wait_text("#pause", "Resume (3 new)")
    dashboard.wait_count(".event", 1)
    dashboard.wait_text(".phase .percent", "2 %")  # only the log is paused
    dashboard.page.get_by_role("button", name="Resume").click()
    dashboard.wait_text(".event .text", "2 %")
    dashboard.wait_count(".event", 4)


def test_pressing_a_button_of_the_log_does_not_move_it_away(
    start_monitor: Start, open_page: Open
) -> None:
    narrowest = {"width": 1_100, "height": 760}  # of those with two columns
    dashboard = watching(start_monitor, open_page, viewport=narrowest)
    before = dashboard.page.locator("#download").bounding_box()
    dashboard.page.get_by_role("button", name="Pause").click()
    publish(dashboard.monitor, *(progress("write", n % 100) for n in range(1_234)))
    dashboard.wait_text("#pause", "Resume (1,234 new)")
    assert dashboard.page.locator("#download").bounding_box() == before
    assert dashboard.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_where_nothing_was_published_the_page_says_so(
    start_monitor: Start, open_page: Open
) -> None:
    dashboard = watching(start_monitor, open_page)
    expect(dashboard.page.locator("#phases-empty")).to_be_visible()
    expect(dashboard.page.locator("#log-empty")).to_have_text("No event yet.")
    expect(dashboard.page).to_have_title("Live – Pipeline monitor")


def test_events_are_copied_as_json_lines(start_monitor: Start, open_page: Open) -> None:
    dashboard = watching(start_monitor, open_page, clock=True)
    dashboard.context.grant_permissions(["clipboard-read", "clipboard-write"])
    event = progress("write", 7, message="seven", run="r", id="e-7")
    publish(dashboard.monitor, event)
    dashboard.wait_text(".event .text", "seven")
    dashboard.pause_clock()
    dashboard.page.get_by_role("button", name="Copy", exact=True).click()
    dashboard.wait_text("#copy", "Copied")
    assert dashboard.text("#announcement") == "Copied"
    dashboard.page.locator("#copy").click()  # again, while it says so
    dashboard.page.clock.resume()
    expect(dashboard.page.locator("#copy")).to_have_text("Copy")
    copied = json.loads(dashboard.page.evaluate("navigator.clipboard.readText()"))
    assert copied == {**event, "status": "in_progress", "offset": 1}


HOSTILE = (
    "<img src=x onerror=\"document.title='owned'\">",
    "</li></ol><script>document.title='owned'</script>",
    "javascript:document.title='owned'",
    "https://example.invalid/?a=1",
    "{{constructor.constructor('1')()}} ${1+1} &lt;b&gt; &amp;",
    "\N{RIGHT-TO-LEFT ISOLATE}abc \N{COMBINING GRAVE ACCENT BELOW}" * 3,
    "__proto__",
    "constructor",
    "A" * 120,
)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_text_in_every_field(
    hostile_page: Dashboard, start_monitor: Start, text: str
) -> None:
    # A name with characters nobody sees is refused by the monitor.
    name = text.replace("\N{RIGHT-TO-LEFT ISOLATE}", "")
    fields = {"run": name, "message": text}
    offset = publish(
        hostile_page.monitor,
        start(name, id=name[:100], **fields),
        progress(name, 5, **fields),
        {"type": "checkpoint_created", "timestamp": now(), "path": text, "phase": name, **fields},
        {"type": "file_trashed", "timestamp": now(), "path": text, "run": name},
        failed(name, text, **fields),
    )[-1]
    hostile_page.wait_text("#counts", re.compile(f"^{offset} events received"))
    stored = hostile_page.download()[-1]
    page = hostile_page.page
    hostile_page.wait_text("#run option", stored["run"][:60])
    assert page.locator(".phase h3").text_content() == stored["phase"]
    assert page.locator(".phase .error").text_content() == stored["error"]
    assert page.locator(".event .text").first.text_content() == stored["error"]
    hostile_page.wait_text("#timeline .mark title", f"checkpoint: {stored['error']}"[:80])
    assert page.title().startswith("1 failed")
    page.locator("#run").select_option(f"={stored['run']}")
    page.get_by_label("Phase", exact=True).select_option(stored["phase"])
    page.get_by_label("Phase", exact=True).select_option("")
    page.locator("#run").select_option("newest")
    found = "main :is(a, script, iframe, img, object, [onerror], [style*=url])"
    assert page.locator(found).count() == 0
    width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert width <= 0, "the page must not scroll sideways"


@pytest.fixture(scope="module")
def hostile_page(
    browser: "Browser", tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dashboard]:
    """One phone-sized page for every hostile text: each must also survive those before it."""
    with RunningMonitor(tmp_path_factory.mktemp("hostile") / "state") as monitor:
        phone = {"width": 390, "height": 844}
        dashboard = Dashboard(browser, monitor, f"#token={monitor.token()}", viewport=phone)
        dashboard.wait("live")
        yield dashboard
        dashboard.close()
        assert dashboard.misconduct == []
