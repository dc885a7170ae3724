"""Starts a target as a process, waits until it is ready, obtains its tokens, and stops it.

The process gets a session of its own, so that Ctrl-C in the terminal reaches the harness only
and the target lives until it is stopped.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import msgspec

from monitor.contract.guard import permit
from monitor.contract.target import Start, Target, TokenSource, fill, is_address
from monitor.contract.verdicts import NoVerdictError, UsageError

#: While a target starts we wait for its end, and look this often whether it is ready instead.
_LOOK_AGAIN_S = 0.02

#: What a service that was killed leaves listening is gone within this; who still answers stays.
_VACATED_S = 2.0

#: Largest first line in which a service says where it is.
_LINE_BYTES = 64 * 1024

#: How long a command of the profile may take, such as one that prints a token.
_COMMAND_S = 30.0


class Launch:
    """Context manager: the target as its profile describes it, started if the profile says how.

    After entry, `target` carries the real URL and `pid` the process (None if it was running
    already and the profile does not observe one). `log` is where the process's stderr went.
    `allowed_hosts` are those beyond loopback that may be connected to.
    """

    def __init__(self, target: Target, allowed_hosts: Collection[str] = ()) -> None:
        self.target = target
        self.pid = _observed_pid(target)
        self.exit_status: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._state = ""
        self._port = 0
        self._allowed = allowed_hosts
        self.log: Path | None = None

    def __enter__(self) -> Self:
        self._state = tempfile.mkdtemp(prefix="wsproof-state-")
        try:
            if self.target.start is not None:
                self._start(self.target.start)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self._state)

    def token(self, kind: str) -> str | None:
        """Return a token of this kind ("subscribe", "publish"), or None without authentication.

        Raises:
            UsageError: the profile names no source, or the source yields nothing.
        """
        if not self.target.authentication.methods:
            return None
        source = self.target.tokens.get(kind)  # type: ignore[call-overload]
        if source is None:
            raise UsageError(
                f"target profile {self.target.path}: no `tokens.{kind}`; say where it comes from"
            )
        return self._obtain(kind, source)

    def filled(self, command: Sequence[str], **values: str) -> list[str]:
        """Return a command of the profile with `{python}`, `{state}` and `values` filled in."""
        return [fill(part, values) for part in self._fill(command)]

    def run(self, command: Sequence[str], where: str, **values: str) -> str:
        """Run a command of the profile to its end and return its stdout; `where` names its key.

        Raises:
            UsageError: it cannot be started, does not end, or ends with another status than 0.
        """
        filled = self.filled(command, **values)
        try:
            done = subprocess.run(
                filled, capture_output=True, text=True, check=True, timeout=_COMMAND_S
            )
        except OSError as error:
            raise UsageError(f"{where}: {filled[0]} cannot be started: {error}") from error
        except subprocess.TimeoutExpired as error:
            raise UsageError(
                f"{where}: the command did not end within {_COMMAND_S:g} s and was killed; it must"
                " not wait for anybody"
            ) from error
        except subprocess.CalledProcessError as error:
            raise UsageError(
                f"{where}: the command ended with status {error.returncode}:"
                f" {error.stderr.strip()[-500:]}"
            ) from error
        return done.stdout

    def logged(self) -> str | None:
        """Return all the service has logged so far, or None where no log can be read."""
        observed = self.target.observe.log
        path = self.log if observed is None else Path(self.filled((observed,))[0])
        if path is None or not path.is_file():
            return None
        return path.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """End the started process as a crash would; its state stays for `restart`."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def restart(self) -> None:
        """Start the service again on the state it left; stopped first if it still runs.

        Raises:
            NoVerdictError: it does not become ready.
            UsageError: the profile does not say how it is started.
        """
        if self.target.start is None:
            raise UsageError(
                f"target profile {self.target.path}: no `start`; it cannot be restarted"
            )
        self.stop()
        self.exit_status = None
        self._port = urlsplit(self.target.url).port or 0
        self._start(self.target.start)

    def alive(self) -> bool:
        """Tell whether the started process still runs; True if it is not ours to know."""
        return self._process is None or self._process.poll() is None

    def ended(self, within_s: float) -> bool:
        """Tell whether the started process ends within the time; False if it is not ours."""
        return self._process is not None and self._ended_within(within_s)

    def stop(self) -> None:
        """Ask the process to stop, wait, and kill what is left of its session. Idempotent."""
        process, start = self._process, self.target.start
        if process is None or start is None or self.exit_status is not None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            self._ended_within(start.stop_timeout_s)
        with contextlib.suppress(ProcessLookupError):  # nothing is left: the usual case
            os.killpg(process.pid, signal.SIGKILL)
        self.exit_status = process.wait()

    def _start(self, start: Start) -> None:
        address = self._vacant_address() if start.ready == "connect" else None
        self.log = Path(self._state) / "target.log"
        # Files, not pipes: a pipe nobody reads would one day be full and stop the target.
        said = Path(self._state) / "target.out"
        command = self._fill(start.command)
        with self.log.open("ab") as log, said.open("wb") as out:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=log,
                    env={**os.environ, **start.environment},
                    start_new_session=True,
                )
            except OSError as error:
                raise UsageError(
                    f"target profile {self.target.path}: key `start.command`: {command[0]}"
                    f" cannot be started: {error.strerror}"
                ) from error
        self.pid = self._process.pid
        deadline = time.monotonic() + start.ready_timeout_s
        if address is None:
            self.target = self.target.at(self._announced_url(said, deadline))
        else:
            self._await_connection(address, deadline)

    def _announced_url(self, said: Path, deadline: float) -> str:
        while b"\n" not in (begun := _beginning(said)) and len(begun) < _LINE_BYTES:
            if self._ended_within(_LOOK_AGAIN_S) or time.monotonic() > deadline:
                break
        line = _beginning(said).partition(b"\n")[0]
        try:
            url = msgspec.json.decode(line, type=_Ready).url
        except msgspec.MsgspecError as error:
            raise self._not_ready(f"its first line on stdout was {line[:200]!r}") from error
        if not is_address(url):
            raise self._not_ready(
                f"its first line on stdout was {line[:200]!r}: expected a `url` such as"
                " ws://HOST:PORT"
            )
        return url

    def _vacant_address(self) -> tuple[str, int]:
        """Return where the service will listen, once nobody listens there any more.

        Raises:
            RefusedError: it is not on this machine and was not allowed by name.
            NoVerdictError: somebody goes on listening: that would be judged in the service's place.
        """
        parts = urlsplit(self.target.url)
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        address = permit(self.target.url, self._allowed), port
        deadline = time.monotonic() + _VACATED_S
        while _refusal(address) is None:
            if time.monotonic() > deadline:
                raise NoVerdictError(
                    f"target {self.target.name}: {self.target.url} answers before the service is"
                    " started: something else listens there; stop it, or remove `start` from the"
                    " profile if that is the service"
                )
            time.sleep(_LOOK_AGAIN_S)
        return address

    def _await_connection(self, address: tuple[str, int], deadline: float) -> None:
        while (refusal := _refusal(address)) is not None:
            if self._ended_within(_LOOK_AGAIN_S) or time.monotonic() > deadline:
                raise self._not_ready(f"{self.target.url} did not answer: {refusal}")
        if not self.alive():
            raise self._not_ready(f"{self.target.url} answers, and is not the started process")

    def _ended_within(self, seconds: float) -> bool:
        assert self._process is not None  # noqa: S101 - called once it is started
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _not_ready(self, detail: str) -> NoVerdictError:
        status = self._process.poll() if self._process is not None else None
        ended = "" if status is None else f"; it ended with status {status}"
        said = self.log.read_text(errors="replace").strip()[-1000:] if self.log else ""
        return NoVerdictError(
            f"target {self.target.name}: did not become ready: {detail}{ended}; start it by hand"
            " with `start.command` of its profile to see why."
            + (f" It said: {said}" if said else "")
        )

    def _obtain(self, kind: str, source: TokenSource) -> str:
        where = f"target profile {self.target.path}: key `tokens.{kind}`"
        if source.environment is not None:
            value = os.environ.get(source.environment, "").strip()
            if not value:
                raise UsageError(f"{where}: the environment has no {source.environment}; set it")
            return value
        said = self.run(source.command or (), where).strip()
        if not said:
            raise UsageError(f"{where}: the command printed no token")
        return said

    def _fill(self, command: Sequence[str]) -> list[str]:
        values: Mapping[str, str] = {
            "python": sys.executable,
            "state": self._state,
            "folder": str(self.target.path.parent),
            "port": str(self._port),
        }
        return [fill(part, values) for part in command]


def _refusal(address: tuple[str, int]) -> OSError | None:
    """Return why nothing accepts a connection there; None if something does."""
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError as error:
        return error
    return None


def _beginning(said: Path) -> bytes:
    """Return what a service has said so far, up to the end of the largest first line."""
    with said.open("rb") as file:
        return file.read(_LINE_BYTES)


class _Ready(msgspec.Struct):
    url: str


def _observed_pid(target: Target) -> int | None:
    """Return the process the profile says to observe, or None."""
    if target.observe.pid_file is None:
        return target.observe.pid
    try:
        return int(Path(target.observe.pid_file).read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"target profile {target.path}: key `observe.pid_file`:"
            f" {target.observe.pid_file} holds no process id: {error}"
        ) from error
