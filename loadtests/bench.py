"""The processes of a run: sampler, Locust, null server; started, followed, and ended for sure.

Locust gets a session of its own: Ctrl-C in a terminal reaches us alone, and we signal Locust by
its process id, so that what was measured is written before everything ends.
"""

import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Self

import msgspec

import loadtests
from loadtests.assignment import Assignment
from loadtests.extent import SPAWN_RATE
from loadtests.results import Progress, RepeatResult, Restart
from loadtests.sampler import Sample, Watch
from monitor.contract.verdicts import NoVerdictError, UsageError

_LOCUSTFILE = Path(loadtests.__file__).parent / "locustfile.py"

#: Locust's page shows what is measured and can stop it, and its master obeys: this machine only.
WEB_HOST = "127.0.0.1"

#: What Locust may take beyond the repeat itself: to start, and to end.
_GRACE_S = 30.0

_STOP_S = 10.0


#: Where Locust's own page is shown.
WEB_PORT = 8089


def require_web_port() -> None:
    """See that Locust can show its page.

    Raises:
        UsageError: something else listens at its port.
    """
    try:
        socket.create_server((WEB_HOST, WEB_PORT)).close()
    except OSError as error:
        raise UsageError(
            f"--ui: Locust's page wants {WEB_HOST}:{WEB_PORT}, which cannot be had:"
            f" {error.strerror}; end what listens there, or leave out --ui"
        ) from error


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: raise KeyboardInterrupt."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Sampling:
    """Context manager around the sampler process."""

    def __init__(self, folder: Path) -> None:
        self._out = folder / "samples.jsonl"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtests.sampler", str(self._out)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def watch(self, watch: Watch) -> None:
        """Change what is watched."""
        process = self._process
        if process is None or process.stdin is None or process.poll() is not None:
            raise NoVerdictError(
                "the resource sampler ended by itself; see what it wrote above and run again"
            )
        process.stdin.write(msgspec.json.encode(watch) + b"\n")
        process.stdin.flush()

    def samples(self) -> list[Sample]:
        """Return every sample so far."""
        decode = msgspec.json.Decoder(Sample).decode
        if not self._out.exists():
            return []
        lines = self._out.read_bytes().splitlines(keepends=True)
        return [decode(line) for line in lines if line.endswith(b"\n")]


def _cannot_restart() -> None:
    raise NoVerdictError("this load restarts its target, and nobody here can; use `wsproof load`")


def run_locust(
    assignment: Assignment,
    folder: Path,
    *,
    ui: bool,
    on_start: Callable[[int], None],
    tell: Callable[[Progress], None],
    on_restart: Callable[[], None] = _cannot_restart,
) -> RepeatResult:
    """Run one repeat as a Locust process and return what it left.

    `on_restart` is called when the schedule wants the target restarted.

    On KeyboardInterrupt Locust is told to stop and writes what it has; the result then says so.

    Raises:
        NoVerdictError: Locust left no result; the text ends with what it said.
        KeyboardInterrupt: interrupted before there was any result.
    """
    path = folder / "assignment.json"
    assignment.save(path)
    reading, writing = os.pipe()
    log = folder / "locust.log"
    command = [
        *(sys.executable, "-m", "locust", "-f", str(_LOCUSTFILE)),
        *_several(assignment.workers),
        *("-u", str(assignment.clients), "-r", str(_spawn_rate(assignment))),
        *("--assignment", str(path), "--progress-fd", str(writing), "--skip-log-setup"),
        *(
            ("--autostart", "--web-host", WEB_HOST, "--web-port", str(WEB_PORT))
            if ui
            else ("--headless", "--only-summary")
        ),
    ]
    with log.open("wb") as said:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(writing,),
        )
    os.close(writing)
    interrupted = ended = False
    try:
        on_start(process.pid)
        ended = _follow(reading, assignment, tell, on_restart)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        _end(process, ask=not ended)
        os.close(reading)  # not before: Locust takes a closed pipe for our death
    if not assignment.part.exists():
        if interrupted:
            raise KeyboardInterrupt
        said_last = log.read_text(errors="replace").strip()[-2000:]
        raise NoVerdictError(
            f"repeat {assignment.repeat}: Locust ended with status {process.returncode} and left"
            f" no result. It said: {said_last or 'nothing'}"
        )
    result = msgspec.json.decode(assignment.part.read_bytes(), type=RepeatResult)
    if not ended and not interrupted:
        late = "the load client did not end in time and was stopped"
        return msgspec.structs.replace(result, interrupted=False, faults=(*result.faults, late))
    return msgspec.structs.replace(result, interrupted=result.interrupted or interrupted)


def _several(workers: int) -> tuple[str, ...]:
    """Return Locust's options for a master and so many workers, which speak on loopback only."""
    if workers == 1:
        return ()
    with socket.create_server((WEB_HOST, 0)) as free:
        port = str(free.getsockname()[1])
    bind = ("--master-bind-host", WEB_HOST, "--master-bind-port", port)
    return ("--processes", str(workers), *bind, "--master-port", port)


def _spawn_rate(assignment: Assignment) -> int:
    """Users whose seat stays empty at first wait for nothing and may come all at once."""
    return max(SPAWN_RATE, len(assignment.point.late_seats))


def _follow(
    reading: int,
    assignment: Assignment,
    tell: Callable[[Progress], None],
    on_restart: Callable[[], None],
) -> bool:
    """Pass progress on until Locust ends; False if it takes far longer than it should."""
    decode = msgspec.json.Decoder(Progress | Restart).decode
    planned_s = assignment.clients / SPAWN_RATE + assignment.connect_s
    planned_s += assignment.point.warmup_s + assignment.point.window_s
    deadline = time.monotonic() + planned_s + assignment.drain_s + _GRACE_S
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            chunk = os.read(reading, 65_536)
            if not chunk:
                return True
            *lines, rest = (rest + chunk).split(b"\n")
            for said in map(decode, lines):
                if isinstance(said, Restart):
                    on_restart()
                else:
                    tell(said)
    return False


def _end(process: "subprocess.Popen[bytes]", *, ask: bool) -> None:
    """See Locust end; ask it to, if it is not about to, and kill it if it does not."""
    if ask and process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_GRACE_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()
