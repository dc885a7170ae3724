"""The publisher's process as the conductor sees it: connect, go, finish, and what came of it."""

import sys
from pathlib import Path
from typing import Any, Protocol, TypeVar

import gevent
import msgspec
from gevent.subprocess import PIPE, Popen

from loadtests.assignment import Assignment
from loadtests.publishing.player import Outcome
from loadtests.publishing.publisher import Ready
from loadtests.schedule.timetable import Timetable, now_ns

Line = TypeVar("Line", Ready, Outcome)

#: From the word "go" to the first event: time for the publisher to read it.
_LEAD_NS = 100_000_000

#: How long the publisher may take for what it should do at once.
_GRACE_S = 5.0


class Publisher(Protocol):
    """Whoever publishes, as a conductor sees it: here, or at the master of several processes."""

    def ready(self) -> Ready | None:
        """Wait until it is connected or refused; None if it died."""

    def appoint(self, timetable: Timetable, ready: int) -> int | None:
        """Start the schedule and return its first instant; None if it does not begin."""

    def go(self) -> None:
        """Let it play."""

    def finish(self, *, now: bool) -> Outcome | None:
        """Wait for the end of its schedule (`now`: end it here); None if it died."""

    def end(self) -> None:
        """See it end."""


class Publishing:
    """One publisher process. It ends when its stdin closes, so it cannot be left behind."""

    def __init__(self, assignment: Assignment) -> None:
        path = Path(assignment.folder) / "publisher.json"
        assignment.save(path)
        command = [sys.executable, "-m", "loadtests.publishing.publisher", str(path)]
        self._process = Popen(command, stdin=PIPE, stdout=PIPE)
        self._stdin: Any = self._process.stdin
        self._stdout: Any = self._process.stdout
        self._connect_s = assignment.connect_s
        self._drain_s = assignment.drain_s

    def ready(self) -> Ready | None:
        """Wait until it is connected or refused; None if it died."""
        return self._line(Ready, self._connect_s + _GRACE_S)

    def appoint(self, timetable: Timetable, ready: int) -> int | None:  # noqa: ARG002 - see `Following`
        """Turn the schedule into instants and return the first, by this process's clock, in ns.

        `ready` clients wait for it; None if it is not to begin at all.
        """
        start_ns = now_ns() + _LEAD_NS
        timetable.start(start_ns)
        return start_ns

    def go(self) -> None:
        """Let it play: the timetable says when."""
        self._say(b"go\n")

    def finish(self, *, now: bool) -> Outcome | None:
        """Wait for the end of its schedule (`now`: end it here); None if it died."""
        if now:
            self._hang_up()
        return self._line(Outcome, self._drain_s + _GRACE_S)

    def end(self) -> None:
        """See it end, and kill it if it does not."""
        self._hang_up()
        gevent.with_timeout(_GRACE_S, self._process.wait, timeout_value=None)
        if self._process.returncode is None:
            self._process.kill()
            self._process.wait()
        self._stdout.close()

    def _say(self, line: bytes) -> None:
        try:
            self._stdin.write(line)
            self._stdin.flush()
        except BrokenPipeError:
            return  # it died: `finish` finds no outcome and says so

    def _hang_up(self) -> None:
        try:
            self._stdin.close()
        except BrokenPipeError:
            return  # it died with something unread; what matters is that it ends

    def _line(self, into: type[Line], timeout_s: float) -> Line | None:
        line = gevent.with_timeout(timeout_s, self._stdout.readline, timeout_value=b"")
        return msgspec.json.decode(line, type=into) if line else None
