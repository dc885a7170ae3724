"""A real browser: the system's Chromium without a window, kept to the service under audit.

It sends nothing anywhere else: no background services, every name but the service's leads nowhere,
and of this machine's other services none is reached: a hostile text may ask for them.
"""

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from securitytests.probe.stream import Endpoint

if TYPE_CHECKING:
    from playwright.async_api import Page, Route, WebSocketRoute

#: Under which of these names a Chromium is looked for.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

#: What mends it where none is there.
INSTALL = "sudo apt-get install -y chromium"

#: Nothing but the page's own requests leaves the browser.
ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)

#: What reaches a network, and the ports it means where a URL names none.
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}

#: How long a browser may take to start.
_START_MS = 20_000


def find() -> Path | None:
    """Return the system's Chromium, or None."""
    found = filter(None, map(shutil.which, NAMES))
    return next((Path(path) for path in found), None)


class BrowserFailedError(Exception):
    """The browser did not start, or did not do what it was told; the text says what."""


@contextlib.asynccontextmanager
async def opened(executable: Path, endpoint: Endpoint) -> AsyncIterator["Page"]:
    """Start the browser and open an empty page; both are closed afterwards.

    Raises:
        BrowserFailedError: it does not start, or fails at what the block asks of it.
    """
    try:  # here, since it takes a third of a second, for one check
        from playwright.async_api import Error, async_playwright  # noqa: PLC0415
    except ImportError as error:
        raise BrowserFailedError(f"{error}; pip install playwright") from error
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=executable,
                headless=True,
                timeout=_START_MS,
                args=[*ARGUMENTS, *_sandbox(), f"--host-resolver-rules={_rules(endpoint)}"],
            )
            try:
                context = await browser.new_context(
                    ignore_https_errors=True, service_workers="block"
                )
                await context.route(lambda url: not _of_the_service(url, endpoint), _abort)
                await context.route_web_socket(
                    lambda url: not _of_the_service(url, endpoint), _hang_up
                )
                yield await context.new_page()
            finally:
                await browser.close()
    except Error as error:
        said = str(error).strip().splitlines() or [repr(error)]
        raise BrowserFailedError(f"{executable.name}: {said[0]}") from error


async def shows(page: "Page", text: str, within_ms: float) -> bool:
    """Tell whether the page has the text, as soon as it has."""
    from playwright.async_api import TimeoutError as NotShownError  # noqa: PLC0415 - as above

    try:
        await page.get_by_text(text).first.wait_for(state="attached", timeout=within_ms)
    except NotShownError:
        return False
    return True


def _of_the_service(url: str, endpoint: Endpoint) -> bool:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS:
        return True  # data: and the like, which reach nobody
    port = parts.port or _PORTS[parts.scheme]
    named = {endpoint.server_name, endpoint.address}
    return port == endpoint.port and parts.hostname in named


async def _abort(route: "Route") -> None:
    await route.abort("blockedbyclient")


async def _hang_up(socket: "WebSocketRoute") -> None:
    await socket.close()


def _sandbox() -> tuple[str, ...]:
    """Chromium refuses to run as root in its sandbox; of whoever else it keeps it."""
    return ("--no-sandbox",) if os.geteuid() == 0 else ()


def _rules(endpoint: Endpoint) -> str:
    """Lead the service's name to the address that was judged, and every other name nowhere."""
    own = f"MAP {endpoint.server_name} {endpoint.address}"
    return f"{own},MAP * ~NOTFOUND,EXCLUDE {endpoint.address}"
