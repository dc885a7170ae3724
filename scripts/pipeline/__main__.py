"""`python -m scripts.pipeline`: build the documentation, reported to a monitor if one is up."""

import argparse
import logging
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from monitor.client import Publisher
from monitor.contract.verdicts import ExitCode, WsproofError
from scripts.pipeline.build import Build
from scripts.pipeline.documents import DEFAULT_SOURCES, find_sources
from scripts.pipeline.phases.links import LinkReport
from scripts.pipeline.run import run

MONITOR = "ws://localhost:4001"
#: A monitor that is up has answered by then; without one there is no wait.
_CONNECT_S = 2.0


def main(arguments: Sequence[str]) -> int:
    """Build once; return the exit code: 0 done, 1 an input is broken, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="pipeline: %(message)s", level=logging.WARNING)
    try:
        build_once(
            Path(options.root),
            options.output,
            options.source,
            monitor=options.monitor,
            token=options.token,
            strict=options.strict,
        )
    except WsproofError as error:
        print(f"pipeline: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("pipeline: interrupted", file=sys.stderr)
        return ExitCode.NO_VERDICT
    return ExitCode.HOLDS


def build_once(
    root: Path,
    output: str,
    sources: Sequence[str] | None = None,
    *,
    monitor: str = MONITOR,
    token: str | None = None,
    strict: bool = False,
    publisher: Callable[..., Publisher] = Publisher,
) -> None:
    """Build the project at `root` into `output`, report each phase, and print what came of it.

    `publisher` makes the publisher from `monitor`, `token` and `run=`.

    Raises:
        PipelineError: an input is broken; the publisher has said so by then.
        UsageError: a source, the output folder or the monitor's URL cannot be used.
    """
    whole = root.resolve()
    build = Build(
        root=whole,
        sources=find_sources(whole, sources or present_defaults(whole)),
        output=(whole / output).resolve(),
        strict=strict,
    )
    with publisher(monitor, token, run=new_run_name()) as reporter:
        reporter.wait_connected(_CONNECT_S)
        for name, result in run(build, reporter):
            print(f"{name}: {summary(result)}")
    print(f"results in {build.label(build.output)}", flush=True)


def new_run_name() -> str:
    """Return a name for one run: `docs-20250101-120000-1a2b`."""
    return f"docs-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def present_defaults(root: Path) -> list[str]:
    """Return the default sources that exist; all of them if none does, so that one is named."""
    return [source for source in DEFAULT_SOURCES if (root / source).exists()] or list(
        DEFAULT_SOURCES
    )


def summary(result: Any) -> str:
    """Say in a few words what a phase came to."""
    if isinstance(result, LinkReport):
        return f"{result.followed} links followed, {len(result.external)} external ones not"
    if isinstance(result, list):
        return "\n  ".join([f"{len(result)} warnings", *map(str, result)])
    return f"{len(result)} files"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.pipeline", description=__doc__)
    parser.add_argument("--root", default=".", help="the project (default: this folder)")
    parser.add_argument(
        "--source",
        action="append",
        help=f"file or folder within it; repeatable (default: {', '.join(DEFAULT_SOURCES)})",
    )
    parser.add_argument("--output", default="site", help="folder for results (default: site)")
    parser.add_argument("--strict", action="store_true", help="lint warnings fail the build")
    parser.add_argument(
        "--monitor", default=os.environ.get("WSPROOF_MONITOR", MONITOR), help="its URL"
    )
    parser.add_argument(
        "--token",
        default=os.environ.get("WSPROOF_TOKEN"),
        help="a token with the publish scope (default: WSPROOF_TOKEN)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
