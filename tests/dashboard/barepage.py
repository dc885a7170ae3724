"""A page in a Chromium nobody listens in on: for measuring what the page itself costs.

Playwright has the browser report every WebSocket frame to the test, which costs more than the
page's own work on it. This speaks the DevTools protocol directly and asks for nothing of the kind.
"""

import itertools
import json
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from scripts.screenshots import ARGUMENTS, CHROMIUM

_LONGEST_WAIT_S = 60.0

_WHEN = """
new Promise((resolve) => {{
  const check = () => {{ if ({condition}) resolve(true); }};
  const everything = {{ subtree: true, childList: true, characterData: true, attributes: true }};
  new MutationObserver(check).observe(document, everything);
  check();
}})
"""


class BarePage:
    """One tab. What goes wrong in its scripts is an error of `evaluate`."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Call a method of the DevTools protocol and return its result."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=_LONGEST_WAIT_S))
            if answer.get("id") == number:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression, once it has one."""
        found = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until the document changes so that the condition holds."""
        self.evaluate(_WHEN.format(condition=condition))

    def text(self, name: str) -> str:
        """Return the text of the element with this id."""
        return str(self.evaluate(f"document.getElementById({json.dumps(name)}).textContent"))

    def wait_text(self, name: str, text: str) -> None:
        """Wait until the element with this id contains the text."""
        place = f"document.getElementById({json.dumps(name)})"
        self.wait(f"{place}?.textContent.includes({json.dumps(text)})")

    def metrics(self, *, collect_garbage: bool = True) -> dict[str, float]:
        """Return the page's metrics, once its garbage is gone unless that is left to it."""
        if collect_garbage:
            self.call("HeapProfiler.collectGarbage")
        found = self.call("Performance.getMetrics")["metrics"]
        return {metric["name"]: metric["value"] for metric in found}


@contextmanager
def open_bare_page(url: str, profile: Path) -> Iterator[BarePage]:
    """Start a Chromium with an empty profile and open `url` in it."""
    command = [str(CHROMIUM), "--headless", "--remote-debugging-port=0", *ARGUMENTS]
    chromium = subprocess.Popen(
        [*command, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert chromium.stderr is not None
    said = iter(chromium.stderr)
    reading = threading.Thread(target=list, args=(said,), daemon=True)  # the pipe must not fill up
    try:
        where = next(line for line in said if line.startswith("DevTools listening on "))
        reading.start()
        address = where.split("ws://")[1].split("/")[0]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{address}/json/list", timeout=10) as answer:
            tab = next(each for each in json.load(answer) if each["type"] == "page")
        with connect(tab["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
            page = BarePage(socket)
            # Seconds of the processor: what others do on the machine is not the page's.
            page.call("Performance.enable", timeDomain="threadTicks")
            page.call("Page.enable")
            page.call("Page.navigate", url=url)
            page.wait("document.body?.dataset.connection === 'live'")
            yield page
    finally:
        chromium.terminate()
        chromium.wait(20)
        if reading.ident is not None:
            reading.join()
        chromium.stderr.close()
