"""The dashboard in a browser, as a test uses it; and a publisher of any event."""

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect
from websockets.sync.client import ClientConnection, connect

from tests.running import RunningMonitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, WebSocket

#: What Chromium itself says in the console when the monitor is away or refuses; no fault of ours.
_NETWORK_WORDS = re.compile(r"WebSocket connection to|Failed to load resource: ")

_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (violation) =>
  console.error(`CSP: ${violation.violatedDirective} ${violation.blockedURI}`));
"""

#: One line for each change: connection, `stale` or `fresh`, the pill's word and the notice.
_RECORD_STATES = """
() => {
  const body = document.body;
  const shown = (id) => document.getElementById(id).textContent;
  const note = () => {
    const age = body.classList.contains("stale") ? "stale" : "fresh";
    const said = `${shown("state-word")} ${shown("notice-text")}`;
    const line = `${body.dataset.connection} ${age} ${said}`;
    const lines = body.dataset.recorded?.split("\\n") ?? [];
    if (lines.at(-1) !== line) body.dataset.recorded = [...lines, line].join("\\n");
  };
  const what = { attributes: true, attributeFilter: ["data-connection", "class"] };
  new MutationObserver(note).observe(body, what);
  const words = new MutationObserver(note);
  for (const id of ["state-word", "notice-text"]) {
    const node = document.getElementById(id);
    words.observe(node, { childList: true, characterData: true, subtree: true });
  }
}
"""

#: How long anything is awaited: a busy machine takes its time.
_PATIENCE_MS = 20_000
expect.set_options(timeout=_PATIENCE_MS)

_BATCH = 400
_FRAME_MS = 20
_HEARD_WITHIN_S = 5


class Dashboard:
    """One tab with the dashboard of `monitor`. `link` is what follows the address."""

    def __init__(
        self, browser: "Browser", monitor: RunningMonitor, link: str = "", **options: Any
    ) -> None:
        self.misconduct: list[str] = []
        self.requests: list[str] = []
        self.sockets: list[WebSocket] = []
        self.sent: list[str] = []
        self.monitor = monitor
        self._may_fail = False
        clock = options.pop("clock", False)
        self.context = browser.new_context(accept_downloads=True, **options)
        self.context.add_init_script(_REPORT_VIOLATIONS)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(_PATIENCE_MS)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.misconduct.append(f"uncaught: {error}"))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", self._connected)
        if clock:
            self.page.clock.install()
        self.page.goto(f"{monitor.http}/{link}")

    def close(self) -> None:
        self.context.close()

    def expect_network_errors(self) -> None:
        """From now on the monitor may be away: the browser's own words about that are fine."""
        self._may_fail = True

    def wait(self, state: str) -> None:
        """Wait until the connection is in this state."""
        self.page.locator(f'body[data-connection="{state}"]').wait_for()

    def draw_until(self, state: str, within_ms: int) -> None:
        """With the clock paused: let it go frame by frame until this state is shown."""
        for _ in range(within_ms // _FRAME_MS):
            self.page.clock.run_for(_FRAME_MS)
            if self.page.locator(f'body[data-connection="{state}"]').count():
                return
        raise AssertionError(f"expected {state} within {within_ms} ms, got {self.text('#state')}")

    @contextmanager
    def connects_at_once(self) -> Iterator[None]:
        """With the clock paused: what is done within opens a connection, and one only."""
        before = len(self.sockets)
        with self.page.expect_websocket():
            yield
        assert len(self.sockets) == before + 1

    def pause_clock(self) -> None:
        """Let time stand, and with it timers and frames; the network goes on."""
        # It cannot stand in the past: a busy machine takes a while to hear of it.
        self.page.clock.pause_at(self.page.evaluate("Date.now() / 1_000") + _HEARD_WITHIN_S)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Keep the page from trying again before all that is done within is done."""
        self.pause_clock()
        yield
        self.page.clock.resume()

    def wait_closed(self) -> None:
        """Wait until the newest connection has ended."""
        if not self.sockets[-1].is_closed():
            self.sockets[-1].wait_for_event("close")

    def wait_sent(self, message: str, times: int) -> None:
        """Wait until the newest connection has sent this message so many times more."""
        for _ in range(times):
            self.sockets[-1].wait_for_event("framesent", lambda frame: frame == message)

    def wait_text(self, selector: str, text: str | re.Pattern[str]) -> None:
        """Wait until the element contains the text."""
        self.page.locator(selector).filter(has_text=text).first.wait_for(state="attached")

    def wait_count(self, selector: str, count: int) -> None:
        """Wait until so many elements match."""
        expect(self.page.locator(selector)).to_have_count(count)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def sign_in(self, token: str) -> None:
        """Sign in as a person does."""
        self.page.get_by_role("textbox", name="Token").fill(token)
        self.page.get_by_role("button", name="Sign in").click()

    def record_states(self) -> None:
        """From now on note every state the page shows, however short."""
        self.page.evaluate(_RECORD_STATES)

    def wait_recorded(self, pattern: str) -> None:
        """Wait until a state that matches was shown: connection, `stale` or `fresh`, and words."""
        expect(self.page.locator("body")).to_have_attribute("data-recorded", re.compile(pattern))

    def download(self) -> list[dict[str, Any]]:
        """Return the events the page lets one download, oldest first."""
        with self.page.expect_download() as downloading:
            self.page.get_by_role("button", name="Download").click()
        lines = downloading.value.path().read_text().splitlines()
        return [json.loads(line) for line in lines]

    def wait_counts(self, received: int, missed: int) -> None:
        """Wait until the page says that it received and missed so many events."""
        counted = re.compile(rf"^{received:,} events? received.* {missed:,} missed")
        expect(self.page.locator("#counts")).to_have_text(counted)

    def counts(self) -> tuple[int, int]:
        """Return how many events the page says by now it received, and missed."""
        found = re.search(r"([\d,]+) events received.* ([\d,]+) missed", self.text("#counts"))
        assert found, self.text("#counts")
        return int(found[1].replace(",", "")), int(found[2].replace(",", ""))

    def _said(self, message: Any) -> None:
        if message.type in {"error", "warning"} and not (
            self._may_fail and _NETWORK_WORDS.search(message.text)
        ):
            self.misconduct.append(f"console: {message.text}")

    def _asked(self, url: str) -> None:
        self.requests.append(url)
        if not url.startswith((self.monitor.http, f"blob:{self.monitor.http}")):
            self.misconduct.append(f"request elsewhere: {url}")

    def _connected(self, socket: "WebSocket") -> None:
        self.sockets.append(socket)
        socket.on("framesent", lambda frame: self.sent.append(str(frame)))
        if not socket.url.startswith(self.monitor.url):
            self.misconduct.append(f"socket elsewhere: {socket.url}")


def beyond_the_edge(page: "Page") -> list[str]:
    """Return what is drawn beyond the window's right edge (WCAG 2.2, 1.4.10 Reflow)."""
    found: list[str] = page.evaluate("""
      [...document.querySelectorAll("body *")]
        .filter((each) => each.checkVisibility() && !each.closest(".unseen, .skip, .rows"))
        .filter((each) => each.getBoundingClientRect().right > innerWidth + 0.5)
        .map((each) => `${each.tagName} ${each.id} ${each.className.baseVal ?? each.className}`)
    """)
    return found


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def start(phase: str, **fields: object) -> dict[str, object]:
    return {"type": "phase_start", "timestamp": now(), "phase": phase, **fields}


def progress(phase: str, percent: float, **fields: object) -> dict[str, object]:
    kind = {"type": "phase_progress", "timestamp": now(), "phase": phase}
    return {**kind, "progress": percent, **fields}


def complete(phase: str, **fields: object) -> dict[str, object]:
    return {"type": "phase_complete", "timestamp": now(), "phase": phase, **fields}


def failed(phase: str, error: str, **fields: object) -> dict[str, object]:
    kind = {"type": "phase_failed", "timestamp": now(), "phase": phase}
    return {**kind, "error": error, **fields}


def many(count: int, **fields: object) -> list[dict[str, object]]:
    """Return progress reports of one run with eight phases."""
    phases = [f"phase {number}" for number in range(8)]
    return [progress(phases[n % 8], n % 101, run="r", **fields) for n in range(count)]


class Source:
    """A publisher: one connection, as many publications as wanted."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    def publish(self, *events: dict[str, object]) -> list[int]:
        """Publish events in order; return their offsets once they are stored."""
        offsets: list[int] = []
        for at in range(0, len(events), _BATCH):
            batch = events[at : at + _BATCH]
            self._socket.send(json.dumps({"type": "publish", "events": batch}))
            answer = json.loads(self._socket.recv())
            assert answer["type"] == "ack", answer
            offsets += answer["offsets"]
        return offsets


@contextmanager
def open_source(monitor: RunningMonitor) -> Iterator[Source]:
    headers = {"Authorization": f"Bearer {monitor.token('publish', subject='source')}"}
    with connect(monitor.url, additional_headers=headers, proxy=None) as socket:
        assert json.loads(socket.recv())["type"] == "auth_ok"
        yield Source(socket)


@contextmanager
def halted(monitor: RunningMonitor) -> Iterator[None]:
    """Halt the process: its sockets stay open and nobody answers on them."""
    os.kill(monitor.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(monitor.pid, signal.SIGCONT)


def publish(monitor: RunningMonitor, *events: dict[str, object]) -> list[int]:
    """Publish events in order; return their offsets once they are stored."""
    with open_source(monitor) as source:
        return source.publish(*events)
