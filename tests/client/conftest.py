"""A real monitor, as a process that a test may stop, kill and start again where it was."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

WSPROOF = [sys.executable, "-m", "scripts.wsproof"]


#: No test waits this long for an event that does not come; it fails where it waits.
DEADLINE_S = 60


@pytest.fixture(autouse=True)
def deadline() -> Iterator[None]:
    def give_up(number: int, frame: object) -> None:
        raise TimeoutError(f"still waiting after {DEADLINE_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(DEADLINE_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


class RunningMonitor:
    """One monitor; it keeps its port and its state folder over restarts."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.port = 0
        self.url = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [*WSPROOF, "serve", "--host", "127.0.0.1", "--state", str(self.state)]
        with (self.state.parent / "monitor.log").open("a") as log:
            self._process = subprocess.Popen(
                [*command, "--port", str(self.port)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        self.url = json.loads(self._process.stdout.readline())["url"]
        self.port = int(self.url.rstrip("/").rpartition(":")[2])

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._end()

    def stop(self) -> None:
        """End it as an operator would. Idempotent."""
        if self._process is not None:
            self._process.terminate()
            self._end()

    def token(self, *scopes: str, ttl: str = "1h", subject: str = "tester") -> str:
        command = [*WSPROOF, "token", "issue", "--subject", subject, "--ttl", ttl]
        command += ["--scope", ",".join(scopes), "--state", str(self.state)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def _end(self) -> None:
        assert self._process is not None
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[RunningMonitor]:
    running = RunningMonitor(tmp_path / "state")
    running.start()
    yield running
    running.stop()
