"""The files an audit is asked to write: tried before it begins, written at its end."""

import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from monitor.contract.verdicts import UsageError
from securitytests.check import discover
from securitytests.outputs import as_json, junit, markdown, page, sarif, table
from securitytests.outputs.report import AuditReport

#: As a path: standard output.
STDOUT = Path("-")


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where each format goes; None: it is not wanted."""

    json: Path | None = None
    junit: Path | None = None
    sarif: Path | None = None
    html: Path | None = None
    markdown: Path | None = None

    def require_writable(self) -> None:
        """See that every file can be written, then remove those an earlier audit has left.

        An audit that comes to no end must not leave the findings of another as its own.

        Raises:
            UsageError: one cannot be written, or two are the same; nothing was audited in vain, and
                nothing removed.
        """
        given = (self.json, self.junit, self.sarif, self.html, self.markdown)
        wanted = [path for path in given if path is not None]
        for path in wanted:
            if wanted.count(path) > 1:
                raise UsageError(f"output {path}: given for two formats; give each its own file")
        files = [path for path in wanted if path != STDOUT]
        for path in files:
            _require_writable(path)
        for path in files:
            if path.is_file():
                path.unlink()

    def write(self, report: AuditReport) -> None:
        """Write every format; print the table unless standard output holds one of them.

        Raises:
            UsageError: a file cannot be written.
        """
        checks = discover()
        wanted: tuple[tuple[Path | None, Callable[[], bytes]], ...] = (
            (self.json, lambda: as_json.render(report)),
            (self.junit, lambda: junit.render(report)),
            (self.sarif, lambda: sarif.render(report, checks)),
            (self.html, lambda: page.render(report)),
            (self.markdown, lambda: markdown.render(report)),
        )
        for path, render in wanted:
            if path is not None:
                write(path, render())
        if STDOUT not in {path for path, _ in wanted}:
            print(table.findings(report))


def require_room(runs: Path) -> None:
    """See that the run folder can be made where evidence is kept.

    Raises:
        UsageError: it cannot.
    """
    nearest = next(one for one in (runs.absolute(), *runs.absolute().parents) if one.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise UsageError(
            f"--runs {runs}: {nearest} is no folder that can be written to; give another"
        )


def write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; `-` is stdout.

    Raises:
        UsageError: it cannot be written.
    """
    if path == STDOUT:
        sys.stdout.write(content.decode())
        return
    partial = _partial(path)
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):  # why nothing could be written is what is told
            partial.unlink()
        raise _unwritable(path, error) from error


def _require_writable(path: Path) -> None:
    if path.is_dir():
        raise UsageError(f"output {path}: cannot be written: it is a folder; name a file in it")
    partial = _partial(path)
    try:
        partial.touch()
        partial.unlink()
    except OSError as error:
        raise _unwritable(path, error) from error


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"output {path}: cannot be written: {error.strerror}; does its folder exist, and is it"
        " yours?"
    )
