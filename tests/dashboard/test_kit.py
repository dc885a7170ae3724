"""The watch every test keeps over its page: it sees what a page must never do."""

from typing import TYPE_CHECKING, Literal

import pytest

from tests.dashboard.kit import Dashboard
from tests.running import RunningMonitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

#: Nobody listens there, and nothing gets that far.
ELSEWHERE = "http://127.0.0.1:9"
INLINE = """
const script = document.createElement("script");
script.textContent = "document.title = 'ran'";
document.body.append(script);
"""
#: What a page does, the event of the browser that tells of it, and what is noted.
MISCONDUCT: "tuple[tuple[str, Literal['console', 'pageerror', 'request'], str], ...]" = (
    ("console.error('a fault')", "console", "console: a fault"),
    ("setTimeout(() => { throw new Error('mine'); })", "pageerror", "uncaught: mine"),
    (f"fetch('{ELSEWHERE}/').catch(() => {{}})", "console", f"CSP: connect-src {ELSEWHERE}/"),
    (f"new WebSocket('{ELSEWHERE}/')", "console", "CSP: connect-src ws://127.0.0.1:9/"),
    (INLINE, "console", "CSP: script-src-elem inline"),
    (f"open('{ELSEWHERE}/', '_self')", "request", f"request elsewhere: {ELSEWHERE}/"),
)


def test_what_a_page_must_never_do_is_noticed(
    browser: "Browser", start_monitor: "Callable[..., RunningMonitor]"
) -> None:
    dashboard = Dashboard(browser, start_monitor())
    dashboard.wait("signed_out")
    assert dashboard.misconduct == []
    for script, event, noted in MISCONDUCT:
        # Those that note it were asked first: by the time this is asked, it is noted.
        with dashboard.page.expect_event(event, lambda _, noted=noted: is_noted(dashboard, noted)):
            dashboard.page.evaluate(f"() => {{ {script} }}")
    dashboard.close()


def is_noted(dashboard: Dashboard, noted: str) -> bool:
    return any(noted in each for each in dashboard.misconduct)
