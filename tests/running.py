"""Starts the real monitor as a process, as a user would, and stops it again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from monitor.keys import load_keys
from monitor.tokens import Scope, issue

WSPROOF = [sys.executable, "-m", "scripts.wsproof"]


class RunningMonitor:
    """Context manager: `wsproof serve` on a free port with a state folder of its own.

    `flags` are settings in Python spelling: `idle_timeout_s=0.5`, `public_status=True`.
    """

    def __init__(self, state: Path, **flags: object) -> None:
        self.state = state
        self.url = ""
        self.under: list[str] = []  # a command that starts it, such as prlimit
        self._flags = {"port": 0, **flags}
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def http(self) -> str:
        """The URL of the HTTP side, without the slash at its end."""
        return self.url.replace("ws", "http", 1).rstrip("/")

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """All the server has logged so far."""
        return (self.state / "serve.log").read_text()

    def start(self) -> None:
        """Start it; again on the same port if it ran before."""
        self.state.mkdir(exist_ok=True)
        flags = []
        for name, value in self._flags.items():
            flag = f"--{name.replace('_', '-')}"
            flags += [flag] if value is True else [flag, str(value)]
        with (self.state / "serve.log").open("a") as log:
            self._process = subprocess.Popen(
                [*self.under, *WSPROOF, "serve", "--state", str(self.state), *flags],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={k: v for k, v in os.environ.items() if not k.startswith("WSPROOF_")},
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the monitor did not start:\n{self.log}"
        self.url = json.loads(line)["url"]
        self._flags["port"] = self.port

    def stop(self) -> int:
        """Ask it to stop; return its exit status. Idempotent."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(60)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return status

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        self._process.kill()
        self.stop()

    def token(
        self, scope: str = "subscribe", *, subject: str = "tester", ttl_s: float = 3600
    ) -> str:
        """Issue a token of this monitor, without the cost of starting a command for it."""
        keys = load_keys(self.state / "keys.json")
        scopes = [Scope(name) for name in scope.split(",")]
        return issue(keys, subject, scopes, ttl_s, time.time())[0]

    def command(self, *arguments: str) -> str:
        """Run a `wsproof` command on this monitor's state folder and return its stdout."""
        done = subprocess.run(
            [*WSPROOF, *arguments, "--state", str(self.state)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
