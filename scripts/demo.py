"""`make demo`: a monitor, and the documentation pipeline reporting to it again and again."""

import argparse
import logging
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from monitor.contract.launch import Launch
from monitor.contract.target import Target, load_target
from monitor.contract.verdicts import ExitCode, NoVerdictError, UsageError, WsproofError
from scripts.cli.app import REFERENCE_TARGET
from scripts.pipeline.__main__ import build_once
from scripts.pipeline.documents import PipelineError

PORT = 4001
EVERY_S = 5.0


def demo(root: Path, *, port: int, every_s: float, once: bool) -> None:
    """Run monitor and pipeline together until interrupted, or once.

    Raises:
        NoVerdictError: the monitor does not start, or ended by itself.
        PipelineError: the documents are broken, and it was to run once.
    """
    _require_free(port)
    with Launch(reference_monitor(port)) as launch:
        url = launch.target.url
        # After `#` the token stays in the browser: it is never sent with a request for a page.
        page = f"{url.replace('ws', 'http', 1)}#token={launch.token('subscribe')}"
        print(f"dashboard: {page}\nevents:    {url}\nCtrl-C stops both.\n", flush=True)
        while True:
            _build(root, launch, url, once=once)
            if once:
                return
            time.sleep(every_s)
            if not launch.alive():
                raise NoVerdictError(f"the monitor at {url} ended by itself; start again")


def _require_free(port: int) -> None:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise UsageError(
            f"port {port}: {error.strerror}; stop the program that has it, or give another --port"
            " (0: a free one)"
        ) from error


def reference_monitor(port: int) -> Target:
    """Return the reference monitor's profile, to be started on `port`."""
    target = load_target(REFERENCE_TARGET)
    if target.start is None:
        raise UsageError(f"target profile {REFERENCE_TARGET}: key `start`: missing; restore it")
    command = list(target.start.command)
    command[command.index("--port") + 1] = str(port)
    start = msgspec.structs.replace(target.start, command=tuple(command))
    return msgspec.structs.replace(target, start=start)


def _build(root: Path, launch: Launch, url: str, *, once: bool) -> None:
    """Run the pipeline; broken documents end the demonstration only if it runs once."""
    try:
        build_once(root, "site", monitor=url, token=launch.token("publish"))
    except PipelineError as error:
        if once:
            raise
        print(f"demo: {error}", file=sys.stderr)


def main(arguments: Sequence[str]) -> int:
    """Run the demonstration; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.demo", description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help="the monitor's; 0 takes a free one")
    parser.add_argument("--every", type=float, default=EVERY_S, help="seconds between two runs")
    parser.add_argument("--once", action="store_true", help="stop after one run")
    options = parser.parse_args(arguments)
    logging.basicConfig(format="demo: %(message)s", level=logging.WARNING)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        demo(Path.cwd(), port=options.port, every_s=options.every, once=options.once)
    except WsproofError as error:
        print(f"demo: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
    return ExitCode.HOLDS


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
