"""A browser that is refused the page itself: what a person sees then."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import pytest

from tests.dashboard.kit import beyond_the_edge
from tests.running import RunningMonitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

Start = Callable[..., RunningMonitor]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1_000), ("dark", 320)])
def test_a_person_over_the_limit_reads_what_happened_and_can_go_on_afterwards(
    start_monitor: Start, browser: "Browser", scheme: Literal["light", "dark"], width: int
) -> None:
    window_s = 8  # the page, its files and the connection are fewer requests than one has in it
    monitor = start_monitor(requests_per_window=20, window_s=window_s)
    size = {"width": width, "height": 640}
    with browser.new_context(color_scheme=scheme, viewport=size) as context:
        page = context.new_page()
        blocked: list[str] = []
        page.on("console", lambda said: blocked.append(said.text))
        link = f"{monitor.http}/#token={monitor.token()}"
        for _ in range(20):
            context.request.get(f"{monitor.http}/icon.svg")
        answer = page.goto(link)
        assert answer is not None
        assert answer.status == 429
        assert page.get_by_role("heading").all_inner_texts() == ["Too many requests"]
        assert page.title() == "Too many requests – Pipeline monitor"
        assert "It takes requests from your address again at" in page.inner_text("main")
        # Its style came with it, and the content policy lets it through.
        border = "getComputedStyle(document.querySelector('main')).borderLeftWidth"
        assert page.evaluate(border) == "4px"
        assert not [said for said in blocked if "Content Security Policy" in said]
        grounds = {"light": "rgb(244, 246, 248)", "dark": "rgb(14, 18, 23)"}
        ground = "getComputedStyle(document.body).backgroundColor"
        assert page.evaluate(ground) == grounds[scheme]
        assert beyond_the_edge(page) == []
        # Once the window is over reloading signs in with the link it had.
        assert 0 < int(answer.headers["retry-after"]) <= window_s
        page.wait_for_timeout(window_s * 1_000)
        page.reload()
        page.locator('body[data-connection="live"]').wait_for()


def test_a_page_of_which_only_the_text_came_says_so(
    start_monitor: Start, browser: "Browser"
) -> None:
    monitor = start_monitor(requests_per_window=1)
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{monitor.http}/#token={monitor.token()}")
        assert page.locator("#loading").is_visible()
        assert "reload the page in a minute" in page.inner_text("#loading")
        box = page.locator(".logo").bounding_box()
        assert box is not None
        assert box["width"] < 40, "without its style the mark must not fill the window"


def test_a_page_of_which_a_part_did_not_come_signs_in_when_it_is_reloaded(
    start_monitor: Start, browser: "Browser"
) -> None:
    window_s = 8
    monitor = start_monitor(requests_per_window=15, window_s=window_s)
    with browser.new_context() as context:
        for _ in range(12):
            context.request.get(f"{monitor.http}/icon.svg")
        page = context.new_page()
        page.goto(f"{monitor.http}/#token={monitor.token()}")
        said = "A part of this page did not load"
        page.locator("#notice-text", has_text=said).wait_for()
        assert page.locator("#loading").count() == 0
        assert "token" not in page.url
        # The limit is over when its window is: that is what is waited for.
        page.wait_for_timeout(window_s * 1_000)
        page.reload()
        page.locator('body[data-connection="live"]').wait_for()
