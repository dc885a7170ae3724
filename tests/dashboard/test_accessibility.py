"""For everybody: axe-core finds no serious fault, and the keyboard reaches everything."""

import shutil
import subprocess
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.dashboard.kit import (
    Dashboard,
    beyond_the_edge,
    complete,
    failed,
    now,
    progress,
    publish,
    start,
)
from tests.running import RunningMonitor

pytestmark = pytest.mark.slow

#: Fetched from npm when the tests run; the project itself needs nothing of it.
AXE_CORE = "axe-core@4.14.1"

Start = Callable[..., RunningMonitor]
Open = Callable[..., Dashboard]


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    if shutil.which("npm") is None:
        pytest.fail("npm: not there; install it with: apt-get install -y nodejs npm")
    folder = tmp_path_factory.mktemp("axe")
    command = ["npm", "pack", "--silent", AXE_CORE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"npm pack {AXE_CORE}: {done.stderr}"
    with tarfile.open(next(Path(folder).glob("*.tgz"))) as package:
        source = package.extractfile("package/axe.min.js")
        assert source is not None
        return source.read().decode()


def faults(dashboard: Dashboard, axe: str) -> list[str]:
    """Return what axe-core finds that is serious or worse."""
    dashboard.page.evaluate(axe)  # not a script element: the page's policy would refuse it
    result: dict[str, Any] = dashboard.page.evaluate("axe.run()")
    assert result["passes"], "axe-core looked at nothing"
    return [
        f"{found['id']}: {node['target']}: {node['failureSummary']}"
        for found in result["violations"]
        if found["impact"] in {"serious", "critical"}
        for node in found["nodes"]
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1_440)])
def test_no_state_of_the_page_has_a_serious_fault(
    start_monitor: Start, open_page: Open, axe: str, scheme: Literal["light", "dark"], width: int
) -> None:
    monitor = start_monitor()
    dashboard = open_page(
        monitor,
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        reduced_motion="reduce",
    )
    dashboard.wait("signed_out")
    assert faults(dashboard, axe) == []
    dashboard.sign_in("no token")
    dashboard.wait("rejected")
    assert faults(dashboard, axe) == []
    publish(
        monitor,
        start("outline"),
        complete("outline"),
        start("write"),
        progress("write", 30, message="chapter 2"),
        {"type": "checkpoint_created", "timestamp": now(), "path": "a.json", "phase": "write"},
        {"type": "file_trashed", "timestamp": now(), "path": "b.json"},
        start("links"),
        failed("links", "a long error\n" * 60),
        {
            "type": "phase_update",
            "timestamp": now(),
            "phase": "package",
            "status": "pending",
            "progress": 0,
        },
    )
    dashboard.sign_in(monitor.token())
    dashboard.wait_count("#timeline .bar", 3)
    assert faults(dashboard, axe) == []
    dashboard.expect_network_errors()
    monitor.kill()
    dashboard.wait("waiting")
    assert faults(dashboard, axe) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_at_320_pixels_nothing_is_cut_off_and_nothing_scrolls_sideways(
    start_monitor: Start, open_page: Open, scheme: Literal["light", "dark"]
) -> None:
    monitor = start_monitor()
    dashboard = open_page(monitor, color_scheme=scheme, viewport={"width": 320, "height": 640})
    dashboard.wait("signed_out")
    assert beyond_the_edge(dashboard.page) == []
    dashboard.sign_in("no token")
    dashboard.wait("rejected")
    assert beyond_the_edge(dashboard.page) == []
    publish(monitor, start("package"), complete("package"), start("link check"))
    dashboard.sign_in(monitor.token())
    dashboard.wait_count("#timeline .bar", 2)
    assert beyond_the_edge(dashboard.page) == []
    dashboard.expect_network_errors()
    monitor.kill()
    dashboard.wait("waiting")
    assert beyond_the_edge(dashboard.page) == []
    names = "[...document.querySelectorAll('.phase h3')].map(e => e.scrollWidth - e.clientWidth)"
    assert dashboard.page.evaluate(names) == [0, 0], "short names must be whole"
    dashboard.page.get_by_role("button", name="Pause").click()
    buttons = "[...document.querySelectorAll('.buttons, .buttons button')]"
    beyond = f"{buttons}.map((each) => each.scrollWidth - each.clientWidth)"
    assert dashboard.page.evaluate(beyond) == [0, 0, 0, 0], "words must be within their buttons"
    dashboard.page.locator("#counts").scroll_into_view_if_needed()
    expect(dashboard.page.locator("#state")).to_be_in_viewport(ratio=1)
    assert dashboard.page.evaluate("scrollY") > 0, "there must be something to scroll"


def test_with_forced_colours_a_bar_shows_how_far_its_phase_is(
    start_monitor: Start, open_page: Open
) -> None:
    monitor = start_monitor()
    publish(monitor, start("none"), start("half"), progress("half", 50), start("all"))
    publish(monitor, complete("all"))
    dashboard = open_page(monitor, f"#token={monitor.token()}", forced_colors="active")
    dashboard.wait_count(".phase", 3)
    filled = {}
    for row in dashboard.page.locator(".phase").all():
        picture = Image.open(BytesIO(row.locator("progress").screenshot())).convert("L")
        dark = sum(picture.histogram()[:128])
        filled[row.locator("h3").inner_text()] = dark / (picture.width * picture.height)
    assert filled["none"] + 0.2 < filled["half"] < filled["all"] - 0.2


def test_everything_is_reached_with_the_keyboard_alone(
    start_monitor: Start, open_page: Open
) -> None:
    monitor = start_monitor()
    publish(monitor, start("write"), failed("write", "line\n" * 60))
    dashboard = open_page(monitor)
    dashboard.wait("signed_out")
    page = dashboard.page
    page.locator("#token:focus").wait_for()  # the field takes the focus by itself
    page.keyboard.insert_text(monitor.token())
    page.keyboard.press("Enter")
    dashboard.wait("live")
    dashboard.wait_count(".phase .error[tabindex]", 1)
    focused = "document.activeElement.id || document.activeElement.className"
    assert page.evaluate(focused) == "phases-heading"
    page.locator(".skip").focus()
    reached = ["skip"]
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(focused))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"{reached[-1]} shows no focus"
    filters = ["filter-type", "filter-phase", "filter-text"]
    log = ["pause", "copy", "download", *filters, "rows"]
    assert reached == ["skip", "run", "sign-out", "error", *log]


def test_one_region_is_live_and_it_is_not_the_log(start_monitor: Start, open_page: Open) -> None:
    monitor = start_monitor()
    dashboard = open_page(monitor, f"#token={monitor.token()}")
    dashboard.wait("live")
    live = dashboard.page.locator("[aria-live], [role=status], [role=alert], [role=log]")
    assert live.count() == 1
    assert dashboard.text("#announcement") == "Live"
    publish(monitor, start("write"), progress("write", 50))
    dashboard.wait_text(".phase .percent", "50 %")
    assert dashboard.text("#announcement") == "Live"


def test_still_pictures_are_still(start_monitor: Start, open_page: Open) -> None:
    monitor = start_monitor()
    publish(monitor, start("write"))
    for motion, moving in (("reduce", "none"), ("no-preference", "turn")):
        dashboard = open_page(monitor, f"#token={monitor.token()}", reduced_motion=motion)
        mark = dashboard.page.locator(".phase .mark.in_progress")
        assert mark.evaluate("mark => getComputedStyle(mark).animationName") == moving
