"""`make trace`: record the events of one real run of the documentation pipeline.

Starts a monitor on a free port, follows it with `wsproof tail --record`, and runs the pipeline
over an earlier build of its own, so that outputs are replaced and trashed as in daily use.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from monitor.contract.launch import Launch
from monitor.contract.target import load_target
from monitor.contract.verdicts import NoVerdictError, WsproofError
from scripts.cli.app import REFERENCE_TARGET

TRACE = Path("loadtests/traces/pipeline.jsonl")
SOURCE = "scripts.pipeline: one run on the project's own documents, over an earlier build"


def record(root: Path, trace: Path) -> None:
    """Record one run of the pipeline on the project at `root`.

    Raises:
        NoVerdictError: the monitor, the recording or the pipeline failed.
        UsageError: something needed for it is missing.
    """
    trace.parent.mkdir(parents=True, exist_ok=True)
    with (
        Launch(load_target(REFERENCE_TARGET)) as launch,
        tempfile.TemporaryDirectory(prefix="wsproof-site-") as folder,
    ):
        url = launch.target.url
        output = Path(folder) / "site"
        _build(root, output, url, None)
        tail = _tail(root, trace, url, launch.token("subscribe"))
        _build(root, output, url, launch.token("publish"))
        tail.send_signal(signal.SIGINT)
        _, said = tail.communicate()
        if tail.returncode != 0:
            raise NoVerdictError(f"recording failed: {said.strip()[-500:]}")
        print(said.strip().splitlines()[-1], file=sys.stderr)


def _tail(root: Path, trace: Path, url: str, token: str | None) -> "subprocess.Popen[str]":
    """Start following and return once the subscription stands."""
    command = [sys.executable, "-m", "scripts.wsproof", "tail", "--monitor", url]
    command += ["--record", str(trace), "--source", SOURCE]
    tail = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "WSPROOF_TOKEN": token or ""},
        start_new_session=True,
    )
    assert tail.stderr is not None  # noqa: S101 - PIPE was asked for
    said = tail.stderr.readline()
    if "following" not in said:
        tail.terminate()
        raise NoVerdictError(f"recording did not begin: {said}{tail.communicate()[1]}")
    return tail


def _build(root: Path, output: Path, url: str, token: str | None) -> None:
    """Run the pipeline once; with a token it reports to the monitor."""
    command = [sys.executable, "-m", "scripts.pipeline", "--root", str(root)]
    command += ["--output", str(output), "--monitor", url]
    environment = {**os.environ, "WSPROOF_TOKEN": token or ""}
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise NoVerdictError(f"the pipeline failed: {done.stderr.strip()[-500:]}")


def main(arguments: Sequence[str]) -> int:
    """Record a trace; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.record_trace", description=__doc__)
    parser.add_argument("trace", nargs="?", type=Path, default=TRACE)
    options = parser.parse_args(arguments)
    try:
        record(Path.cwd(), options.trace)
    except WsproofError as error:
        print(f"trace: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
