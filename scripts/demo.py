"""`make demo`: a monitor, and the documentation pipeline reporting to it again and again.

The pipeline's work is real and takes a fraction of a second; it is slowed down, so that a person
can watch it. A monitor that ends is started again after a while: kill it, and watch what the page
says meanwhile.
"""

import argparse
import logging
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, SupportsFloat

import msgspec

from monitor.client import Phase, Publisher
from monitor.client.reporting import Reporter
from monitor.contract.launch import Launch
from monitor.contract.target import Target, load_target
from monitor.contract.verdicts import ExitCode, UsageError, WsproofError
from scripts.cli.app import DEFAULT_STATE, REFERENCE_TARGET
from scripts.credentials import Scope, endpoint_for
from scripts.pipeline.__main__ import build_once
from scripts.pipeline.documents import PipelineError
from scripts.pipeline.run import PHASES

PORT = 4001
EVERY_S = 5.0
LASTS_S = 25.0
BACK_AFTER_S = 10.0
#: While time passes the monitor is looked at so often.
_LOOK_AGAIN_S = 0.1


class Stage:
    """Context manager: a monitor on `port` that is started again `back_after_s` after its end.

    It keeps its keys and its journal in the folder `state`, so that a page or a `wsproof tail`
    goes on where it was, and tokens of `wsproof token issue` are good for it.

    Raises (on entering, and while time passes):
        UsageError: the port is taken.
        NoVerdictError: the monitor does not start.
    """

    def __init__(self, port: int, state: Path, back_after_s: float) -> None:
        self._port = port
        self._state = state
        self._back_after_s = back_after_s
        self._running = ExitStack()
        self._gone_at: float | None = None

    def __enter__(self) -> Self:
        _require_free(self._port)
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.close()

    @property
    def url(self) -> str:
        """Where the monitor listens."""
        return self._launch.target.url

    @property
    def pid(self) -> int | None:
        """The monitor's process."""
        return self._launch.pid

    def token(self, scope: Scope) -> str:
        """Return a fresh token of the monitor."""
        return endpoint_for(self.url, None, scope, self._state).reveal_token() or ""

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and see to it that there is a monitor."""
        until = time.monotonic() + seconds
        self._tend()
        while (left := until - time.monotonic()) > 0:
            # Time itself is what is waited for.
            time.sleep(min(left, _LOOK_AGAIN_S))
            self._tend()

    def await_monitor(self) -> None:
        """Wait until there is a monitor."""
        while not self._launch.alive():
            self.pass_time(_LOOK_AGAIN_S)

    def _tend(self) -> None:
        if self._launch.alive():
            return
        now = time.monotonic()
        if self._gone_at is None:
            self._gone_at = now
            _say(
                f"the monitor has ended; what the pipeline reports waits. It is started again in"
                f" {self._back_after_s:g} s"
            )
        if now - self._gone_at < self._back_after_s:
            return
        self._running.close()
        self._start()
        _say(f"the monitor runs again, as process {self.pid}")

    def _start(self) -> None:
        self._launch = self._running.enter_context(
            Launch(reference_monitor(self._port, str(self._state)))
        )
        self._gone_at = None
        self._port = int(self.url.rstrip("/").rpartition(":")[2])


class PacedPublisher(Publisher):
    """A publisher whose phases last `phase_s` seconds each; it ends only with a monitor there."""

    def __init__(self, url: str, token: str, *, run: str, stage: Stage, phase_s: float) -> None:
        super().__init__(url, token, run=run)
        self._stage = stage
        self._phase_s = phase_s

    def phase(self, name: str) -> Phase:
        """Return a phase that takes its time."""
        return PacedPhase(self, name, self._stage, self._phase_s)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None or issubclass(kind, PipelineError):
            self._stage.await_monitor()
        super().__exit__(kind, error, trace)


class PacedPhase(Phase):
    """A phase that waits before each step, in proportion to the progress the step makes."""

    def __init__(self, reporter: Reporter, name: str, stage: Stage, lasts_s: float) -> None:
        super().__init__(reporter, name)
        self._stage = stage
        self._lasts_s = lasts_s
        self._percent = 0.0

    def progress(self, percent: SupportsFloat | str, message: object = None) -> None:
        """Report progress in percent when its time has come."""
        before, self._percent = self._percent, float(percent)
        self._stage.pass_time(self._lasts_s * max(0.0, self._percent - before) / 100)
        super().progress(percent, message)


def demo(
    root: Path,
    *,
    port: int,
    state: Path,
    every_s: float,
    lasts_s: float,
    back_after_s: float,
    once: bool,
) -> None:
    """Run monitor and pipeline together until interrupted, or once.

    Raises:
        UsageError: the port is taken.
        NoVerdictError: the monitor does not start.
        PipelineError: the documents are broken, and it was to run once.
    """
    with Stage(port, state, back_after_s) as stage:
        # After `#` the token stays in the browser: it is never sent with a request for a page.
        page = f"{stage.url.replace('ws', 'http', 1)}#token={stage.token('subscribe')}"
        print(
            f"dashboard: {page}\nevents:    {stage.url}\n"
            f"monitor:   process {stage.pid}; end it (kill -9 {stage.pid}) and see what the page"
            f" says:\n           it is started again after {back_after_s:g} s\n"
            "Ctrl-C stops everything.\n",
            flush=True,
        )
        while True:
            _build(root, stage, lasts_s / len(PHASES), once=once)
            if once:
                return
            stage.pass_time(every_s)


def _require_free(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise UsageError(
            f"port {port}: {error.strerror}; stop the program that has it, or give another --port"
            " (0: a free one)"
        ) from error


def reference_monitor(port: int, state: str = "{state}") -> Target:
    """Return the reference monitor's profile, to be started on `port`.

    `state` is its state folder; by default it gets one of its own, gone with it.
    """
    target = load_target(REFERENCE_TARGET)
    if target.start is None:
        raise UsageError(f"target profile {REFERENCE_TARGET}: key `start`: missing; restore it")
    command = [state if part == "{state}" else part for part in target.start.command]
    command[command.index("--port") + 1] = str(port)
    start = msgspec.structs.replace(target.start, command=tuple(command))
    return msgspec.structs.replace(target, start=start)


def _build(root: Path, stage: Stage, phase_s: float, *, once: bool) -> None:
    """Run the pipeline; broken documents end the demonstration only if it runs once."""
    paced = partial(PacedPublisher, stage=stage, phase_s=phase_s)
    try:
        build_once(root, "site", monitor=stage.url, token=stage.token("publish"), publisher=paced)
    except PipelineError as error:
        if once:
            raise
        _say(str(error))


def _say(text: str) -> None:
    print(f"demo: {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """Run the demonstration; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.demo",
        description="A monitor, and the documentation pipeline reporting to it again and again.",
    )
    parser.add_argument("--port", type=int, default=PORT, help="the monitor's; 0 takes a free one")
    parser.add_argument(
        "--state", type=Path, default=DEFAULT_STATE, help="the monitor's state folder"
    )
    for name, default, meaning in (
        ("--lasts", LASTS_S, "how long one run takes"),
        ("--every", EVERY_S, "the pause between two runs"),
        ("--back-after", BACK_AFTER_S, "how long a monitor that ended stays away"),
    ):
        parser.add_argument(name, type=float, default=default, metavar="SECONDS", help=meaning)
    parser.add_argument("--once", action="store_true", help="stop after one run")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="demo: %(message)s", level=logging.WARNING)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        demo(
            Path.cwd(),
            port=options.port,
            state=options.state,
            every_s=options.every,
            lasts_s=options.lasts,
            back_after_s=options.back_after,
            once=options.once,
        )
    except WsproofError as error:
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        _say("stopped")
    return ExitCode.HOLDS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
