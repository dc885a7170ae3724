"""`wsproof tail` on a terminal of its own (a pty), and what its view says of the connection."""

import io
import os
import pty
import re
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest
from rich.console import Console

from monitor.client import Event
from scripts.liveview import LiveView
from tests.dashboard.kit import failed, progress, publish, start
from tests.running import WSPROOF, RunningMonitor

Start = Callable[..., RunningMonitor]

_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LONGEST_WAIT_S = 60.0


class Terminal:
    """A command whose stdout is a terminal of 100 columns; `seen` is all it wrote so far."""

    def __init__(self, *arguments: str, kind: str = "xterm") -> None:
        self._end, terminal = pty.openpty()
        self.process = subprocess.Popen(
            [*WSPROOF, "tail", *arguments],
            stdout=terminal,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TERM": kind, "COLUMNS": "100", "LINES": "40"},
        )
        os.close(terminal)
        self.seen = ""

    def wait_for(self, pattern: str) -> None:
        """Read until what was written since the last call matches; forget it then."""
        deadline = time.monotonic() + _LONGEST_WAIT_S
        while not re.search(pattern, self.seen):
            ready, _, _ = select.select([self._end], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"expected {pattern!r}, saw {self.seen[-2000:]!r}"
            self._read()
        self.seen = ""

    def wait_end(self) -> tuple[int, str]:
        """Read until it has ended; return its exit status and what it said on stderr."""
        while self._read():
            pass
        _, said = self.process.communicate(timeout=_LONGEST_WAIT_S)
        return self.process.returncode, said

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        os.close(self._end)

    def _read(self) -> bool:
        try:
            written = os.read(self._end, 65_536)
        except OSError:  # how Linux says that nobody has the other side open
            return False
        self.seen += _SEQUENCE.sub("", written.decode(errors="replace"))
        return bool(written)


@contextmanager
def tail(monitor: RunningMonitor, *arguments: str, kind: str = "xterm") -> Iterator[Terminal]:
    where = ("--monitor", monitor.url, "--state", str(monitor.state))
    terminal = Terminal(*where, *arguments, kind=kind)
    try:
        yield terminal
    finally:
        terminal.close()


@pytest.mark.slow
def test_on_a_terminal_it_says_when_it_is_live_and_when_not(start_monitor: Start) -> None:
    monitor = start_monitor()
    with tail(monitor) as terminal:
        terminal.wait_for("● Live")
        publish(monitor, start("write", run="r"), progress("write", 45.9, run="r", message="ch. 3"))
        terminal.wait_for(r"write\s.*45 %\s+… running\s+ch\. 3")
        monitor.kill()
        terminal.wait_for(r"◇ Not live since [\d:]+, trying again until [\d:]+: ")
        terminal.wait_for("r · not live")
        monitor.start()
        publish(monitor, failed("write", "no paper", run="r"))
        terminal.wait_for(r"● Live\s+r\s+write\s.*✗ failed\s+no paper")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.wait_end() == (0, "")
        last = terminal.seen[terminal.seen.rindex("Ended at") :]
        assert "3 events" in last
        assert "Live" not in last
        assert "Ctrl-C" not in last


@pytest.mark.slow
def test_a_token_revoked_meanwhile_ends_it_and_it_says_how_to_get_another(
    start_monitor: Start,
) -> None:
    monitor = start_monitor()
    issued = ("token", "issue", "--subject", "watcher", "--scope", "subscribe")
    token = monitor.command(*issued).strip()
    with tail(monitor, "--token", token) as terminal:
        terminal.wait_for("● Live")
        monitor.command("token", "revoke", token)
        status, said = terminal.wait_end()
        assert status == 2
        assert "token no longer valid" in said
        assert "wsproof token issue --subject NAME --scope subscribe" in said
        assert "Ended at" in terminal.seen
        assert "● Live" not in terminal.seen[terminal.seen.rindex("Ended at") :]


@pytest.mark.slow
def test_a_monitor_that_does_not_come_back_is_exit_code_three(start_monitor: Start) -> None:
    monitor = start_monitor()
    with tail(monitor, "--wait", "1") as terminal:
        terminal.wait_for("● Live")
        monitor.kill()
        status, said = terminal.wait_end()
        assert (status, "connection refused" in said) == (3, True)


@pytest.mark.slow
def test_who_is_refused_is_told_why_and_until_when(start_monitor: Start) -> None:
    monitor = start_monitor(connections_per_address=1)
    with socket.create_connection(("127.0.0.1", monitor.port)), tail(monitor) as terminal:
        status, said = terminal.wait_end()
    assert status == 3
    assert "too many connections (HTTP 429); try again in 1 s" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "advice"),
    [
        (("ws:", "wss:"), "does it speak TLS? The URL of one that does not begins with ws://"),
        (("localhost", "monitor.invalid"), "is the name right?"),
        (("/", "/nothing"), "a monitor's WebSocket is at the path /"),
    ],
)
def test_a_wrong_url_is_told_by_what_is_wrong_with_it(
    start_monitor: Start, change: tuple[str, str], advice: str
) -> None:
    monitor = start_monitor()
    head, _, port = monitor.url.rstrip("/").rpartition(":")
    url = f"{head}:{port}/"
    url = f"{url[:-1]}{change[1]}" if change[0] == "/" else url.replace(*change)
    done = subprocess.run(
        [*WSPROOF, "tail", "--monitor", url, "--token", monitor.token()],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode in {2, 3}
    assert advice in done.stderr
    assert "is it running" not in done.stderr


@pytest.mark.slow
def test_an_offset_that_is_not_there_yet_is_no_loss(start_monitor: Start) -> None:
    with tail(start_monitor(), "--since", "99", kind="dumb") as terminal:
        assert terminal.process.stderr is not None
        said = terminal.process.stderr.readline()
    assert "no event has offset 99 yet; following after offset 0" in said


@pytest.mark.slow
def test_a_terminal_that_cannot_redraw_gets_json_lines(start_monitor: Start) -> None:
    monitor = start_monitor()
    with tail(monitor, "--since", "0", kind="dumb") as terminal:
        publish(monitor, start("write"))
        terminal.wait_for(r'^\{"type":"phase_start".*"offset":1\}\r\n')


def test_what_was_missed_is_counted_until_it_has_come() -> None:
    view = LiveView(Console(file=io.StringIO()))
    view.connected("resumed; 3 events were missed and follow", 3)
    view.show(event("write", offset=8))
    assert picture(view)[0] == "Recovering 1 of 3 events"
    view.missed(1, "thinned")
    view.show(event("write", offset=10))
    assert picture(view)[0] == "● Live"
    assert picture(view)[-1] == "2 events · 1 missed · Ctrl-C ends"


def test_a_snapshot_alone_is_not_live() -> None:
    view = LiveView(Console(file=io.StringIO()))
    view.show(event("write", snapshot=True))
    assert picture(view)[0] == "Connecting"
    view.connected("following after offset 7", 0)
    assert picture(view)[0] == "● Live"


def test_times_are_those_of_the_watcher_s_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC-5:30")
    time.tzset()
    try:
        view = LiveView(Console(file=io.StringIO()))
        view.show(event("write", type="phase_start", timestamp="2025-01-01T20:00:01.5Z"))
        view.show(event("links", type="phase_start", timestamp="no time of day"))
        lines = "\n".join(picture(view))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert "01:30:01 phase_start write" in lines
    assert "day phase_start links" in lines


def test_failed_phases_come_first_and_only_the_newest_run_is_shown() -> None:
    view = LiveView(Console(file=io.StringIO()))
    for each in (
        event("of the old run", run="1"),
        event("outline", run="2", status="completed"),
        event("links", run="2", status="failed", error="gone"),
    ):
        view.show(each)
    view.connected("following after offset 3", 0)
    lines = picture(view)
    assert lines[1] == "2"
    assert lines[2].startswith("links")
    assert lines[2].endswith("gone")
    assert lines[3].startswith("outline")
    assert not any(line.startswith("of the old run") for line in lines)


def test_no_text_of_an_event_reaches_the_terminal_as_a_sequence_or_as_markup() -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J\x9b2J[bold]x[/]\r\n"
    view = LiveView(Console(file=io.StringIO()))
    fields = {"run": hostile, "message": hostile, "error": hostile, "status": "failed"}
    view.show(event(hostile, **fields))
    view.lost(hostile, None)
    written = "\n".join(picture(view, colour=False))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", written)
    assert "[bold]x[/]" in written


def test_it_says_since_when_it_is_not_live() -> None:
    view = LiveView(Console(file=io.StringIO()), now=lambda: datetime(2025, 1, 1, 12, 0, 5))  # noqa: DTZ001
    view.lost("connection refused", 30.0)
    first = "◇ Not live since 12:00:05, trying again until 12:00:35: connection refused"
    assert picture(view)[0] == first


def test_the_reason_is_whole_on_a_narrow_terminal() -> None:
    view = LiveView(Console(file=io.StringIO()))
    view.lost("monitor ws://monitor.example:4001/: connection refused", 30.0)
    assert "connection refused" in " ".join(picture(view, width=60))


def event(phase: str, **fields: object) -> Event:
    at_least = {"type": "phase_progress", "timestamp": "2025-01-01T12:00:00Z"}
    return Event(**{**at_least, "phase": phase, "status": "in_progress", "progress": 5, **fields})


def picture(view: LiveView, *, colour: bool = False, width: int = 120) -> list[str]:
    """Return the lines a terminal would show."""
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=colour).print(view.render())
    return [line.rstrip() for line in out.getvalue().splitlines()]
