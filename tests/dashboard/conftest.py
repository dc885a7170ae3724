"""One browser for all of this folder, and pages that are watched for what a page must never do."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from monitor.contract.verdicts import UsageError
from scripts.screenshots import chromium
from tests.dashboard.kit import Dashboard
from tests.running import RunningMonitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser


# Not for the session: while it is open, Playwright's own event loop counts as running in this
# thread, and asynchronous tests of other modules could not run theirs.
@pytest.fixture(scope="package")
def browser() -> Iterator["Browser"]:
    try:
        with chromium() as opened:
            yield opened
    except UsageError as error:
        pytest.fail(str(error))


@pytest.fixture
def open_page(browser: "Browser") -> Iterator[Callable[..., Dashboard]]:
    """Open dashboards, each in a profile of its own; afterwards none may have misbehaved."""
    opened: list[Dashboard] = []

    def open_one(monitor: RunningMonitor, link: str = "", **options: object) -> Dashboard:
        dashboard = Dashboard(browser, monitor, link, **options)
        opened.append(dashboard)
        return dashboard

    yield open_one
    for dashboard in opened:
        dashboard.close()
    for dashboard in opened:
        assert dashboard.misconduct == []
