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
    # The page and its files are six requests; the window is over soon.
    monitor = start_monitor(requests_per_window=20, window_s=3)
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
        # What the page says is when to come back: reloading then signs in with the link it had.
        page.wait_for_timeout(int(answer.headers["retry-after"]) * 1_000)
        page.reload()
        page.locator('body[data-connection="live"]').wait_for()
