"""`make screenshots`: pictures of the dashboard, taken of the real page on a real monitor."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from monitor.contract.launch import Launch
from monitor.contract.verdicts import ExitCode, UsageError, WsproofError
from scripts.demo import reference_monitor
from securitytests.probe.browser import ARGUMENTS as QUIET

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
PICTURES = Path("docs/pictures")

#: Containers have no user namespaces, and only our own page is opened.
ARGUMENTS = ("--no-sandbox", *QUIET)
_RUN = "handbook-2025-06-02"
_LATEST = "handbook-2025-06-03"
_WIDE = (1440, 900)
_PHONE = (390, 844)


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its name, the scheme, the window, and the run to choose (None: the newest)."""

    name: str
    scheme: Literal["light", "dark"]
    size: tuple[int, int]
    run: str | None = None
    stale: bool = False
    signed_in: bool = True


PICTURES_TAKEN = (
    Picture("sign-in", "light", _WIDE, signed_in=False),
    Picture("light", "light", _WIDE),
    Picture("dark", "dark", _WIDE),
    Picture("phone", "light", _PHONE),
    Picture("failure", "light", _WIDE, run=_RUN),
    Picture("stale", "dark", _WIDE, stale=True),
)


@contextmanager
def chromium() -> Iterator["Browser"]:
    """Start the system's Chromium without a window; it is closed afterwards.

    Raises:
        UsageError: Chromium or Playwright is missing; names the command that installs it.
    """
    if not CHROMIUM.exists():
        raise UsageError(f"{CHROMIUM}: not there; install it with: apt-get install -y chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        raise UsageError("playwright: not installed; `make setup` installs it") from error
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, headless=True, args=list(ARGUMENTS)
        )
        try:
            yield browser
        finally:
            browser.close()


def take_pictures(folder: Path) -> None:
    """Take every picture into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with chromium() as browser, Launch(reference_monitor(0)) as launch:
        url = launch.target.url
        _publish(url, launch.token("publish"), list(example_events(datetime.now(UTC))))
        address = url.replace("ws", "http", 1)
        for picture in PICTURES_TAKEN:
            token = launch.token("subscribe") if picture.signed_in else None
            page = _open(browser, picture, address, token)
            if picture.stale:
                launch.stop()
                page.locator('body[data-connection="waiting"]').wait_for()
            path = folder / f"dashboard-{picture.name}.png"
            page.screenshot(path=path)
            page.context.close()
            print(path)


def _open(browser: "Browser", picture: Picture, address: str, token: str | None) -> "Page":
    """Open the page as the picture wants it, with everything drawn."""
    width, height = picture.size
    page = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=picture.scheme,
        reduced_motion="reduce",
        device_scale_factor=2 if width < 500 else 1,
    ).new_page()
    page.goto(address if token is None else f"{address}#token={token}")
    state = "signed_out" if token is None else "live"
    page.locator(f'body[data-connection="{state}"]').wait_for()
    if token is not None:
        if picture.run is not None:
            page.locator("#run").select_option(f"={picture.run}")
        page.locator("#timeline rect").first.wait_for()
    return page


def example_events(now: datetime) -> Iterator[dict[str, Any]]:
    """Yield two runs of a pipeline that makes a book: one that failed, one under way at `now`."""
    yield from _failed_run(now - timedelta(minutes=21))
    yield from _run_under_way(now - timedelta(seconds=250))


class _Pen:
    """Writes events of one run, at seconds after its start."""

    def __init__(self, run: str, start: datetime) -> None:
        self._run = run
        self._start = start

    def event(self, at_s: float, kind: str, phase: str, **fields: Any) -> dict[str, Any]:
        when = self._start + timedelta(seconds=at_s)
        stamp = when.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"type": kind, "timestamp": stamp, "run": self._run, "phase": phase, **fields}

    def phase(
        self, name: str, began_s: float, ended_s: float, steps: Sequence[str]
    ) -> Iterator[dict[str, Any]]:
        yield self.event(began_s, "phase_start", name)
        for number, step in enumerate(steps, 1):
            share = number / (len(steps) + 1)
            at = began_s + (ended_s - began_s) * share
            percent = round(100 * share, 1)
            yield self.event(at, "phase_progress", name, progress=percent, message=step)
        path = f"checkpoints/{name}.json"
        yield self.event(ended_s, "phase_complete", name, message=f"saved {path}")
        yield self.event(ended_s, "checkpoint_created", name, path=path)


def _failed_run(start: datetime) -> Iterator[dict[str, Any]]:
    pen = _Pen(_RUN, start)
    chapters = [f"chapter {number}" for number in range(1, 9)]
    yield from pen.phase("outline", 0, 14, ["reading sources", "linking headings"])
    yield from pen.phase("research", 14, 71, ["collecting references", "checking quotations"])
    yield pen.event(71, "phase_start", "write")
    for number, chapter in enumerate(chapters[:6], 1):
        at = 71 + number * 13
        yield pen.event(at, "phase_progress", "write", progress=number * 12.5, message=chapter)
        yield pen.event(at + 1, "checkpoint_created", "write", path=f"draft/{chapter}.md")
    yield pen.event(152, "file_trashed", "write", path="trash/chapter 6.md")
    yield pen.event(
        155,
        "phase_failed",
        "write",
        error="chapters/07-queues.md, line 118: code fence opened here is never closed\n"
        "  117 | The log is the queue:\n"
        "  118 | ```python\n"
        "      | ^^^\n"
        "Close the fence, or remove it, and run the phase again.",
    )


def _run_under_way(start: datetime) -> Iterator[dict[str, Any]]:
    pen = _Pen(_LATEST, start)
    yield from pen.phase("outline", 0, 12, ["reading sources", "linking headings"])
    yield from pen.phase("research", 12, 64, ["collecting references", "checking quotations"])
    yield pen.event(64, "phase_start", "write")
    yield pen.event(90, "phase_start", "illustrate")
    for number in range(1, 31):
        at = 64 + number * 5.9
        chapter = f"chapter {1 + number // 5}, section {1 + number % 5}"
        yield pen.event(at, "phase_progress", "write", progress=number * 2.9, message=chapter)
        if number % 5 == 0:
            yield pen.event(at, "checkpoint_created", "write", path=f"draft/{number // 5}.md")
        if number % 7 == 0:
            yield pen.event(at, "file_trashed", "write", path=f"trash/{number // 7}.md")
        if number == 14:
            said = "14 figures drawn"
            yield pen.event(at, "phase_progress", "illustrate", progress=58, message=said)
        if number == 22:
            said = "24 figures drawn"
            yield pen.event(at, "phase_complete", "illustrate", message=said)
    yield pen.event(246, "phase_start", "link check")
    said = "311 of 890 links followed"
    yield pen.event(250, "phase_progress", "link check", progress=34.9, message=said)
    said = "waits for the last chapter"
    yield pen.event(250, "phase_update", "package", status="pending", progress=0, message=said)


def _publish(url: str, token: str | None, events: list[dict[str, Any]]) -> None:
    from websockets.sync.client import connect

    headers = {"Authorization": f"Bearer {token}"}
    with connect(url, additional_headers=headers, proxy=None) as socket:
        socket.recv()  # auth_ok
        socket.send(json.dumps({"type": "publish", "events": events}))
        answer = json.loads(socket.recv())
    if answer["type"] != "ack":
        raise UsageError(f"monitor {url}: refused the example events: {answer}")


def main(arguments: Sequence[str]) -> int:
    """Take the pictures; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.screenshots", description=__doc__)
    parser.add_argument("--folder", type=Path, default=PICTURES, help="where pictures go")
    try:
        take_pictures(parser.parse_args(arguments).folder)
    except WsproofError as error:
        print(f"screenshots: {error}", file=sys.stderr)
        return error.exit_code
    return ExitCode.HOLDS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
