"""One build: its documents, its output folder, its trash and its checkpoints.

Every replaced output is moved to the trash, which holds the build before this one; the output
folder is one this pipeline made, or it is left alone.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from monitor.client import Phase
from monitor.contract.verdicts import UsageError
from scripts.pipeline.documents import Document

_MARK = ".wsproof-pipeline"
_TRASH = "trash"
_CHECKPOINTS = "checkpoints"


@dataclass(slots=True)
class Build:
    """What the phases share. `documents` is filled by the first of them.

    Args:
        root: the project; names of sources are relative to it.
        sources: the Markdown files to build.
        output: where results go.
        strict: treat lint warnings as errors.
    """

    root: Path
    sources: Sequence[Path]
    output: Path
    strict: bool = False
    documents: list[Document] = field(default_factory=list)
    pages: list[Path] = field(default_factory=list)

    def prepare(self) -> None:
        """Make the output folder, or take over one of an earlier build and empty its trash.

        Raises:
            UsageError: it cannot be written, or holds something this pipeline did not make.
        """
        try:
            self.output.mkdir(parents=True, exist_ok=True)
            mark = self.output / _MARK
            if not mark.exists():
                if any(self.output.iterdir()):
                    raise UsageError(
                        f"output folder {self.output}: holds files this pipeline did not make;"
                        " name an empty or new folder with --output"
                    )
                mark.touch()
            if (self.output / _TRASH).exists():
                shutil.rmtree(self.output / _TRASH)
        except OSError as error:
            raise UsageError(
                f"output folder {self.output}: cannot be written: {error.strerror};"
                " pass --output DIR"
            ) from error

    def label(self, path: Path) -> str:
        """Return a path as events name it: relative to the project, never to a home folder."""
        base = self.root if path.is_relative_to(self.root) else self.output.parent
        return path.relative_to(base).as_posix()

    def replace(self, name: str, content: bytes, phase: Phase) -> Path:
        """Write one output, whole or not at all; the one it replaces goes to the trash."""
        path = self.output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            trashed = self.output / _TRASH / name
            trashed.parent.mkdir(parents=True, exist_ok=True)
            path.rename(trashed)
            phase.trashed(self.label(trashed))
        _write(path, content)
        return path

    def checkpoint(self, name: str, result: Any, phase: Phase) -> None:
        """Save what a phase found as JSON and report it."""
        path = self.output / _CHECKPOINTS / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        _write(path, msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")
        phase.checkpoint(self.label(path))


class Progress:
    """Counts a phase's work done against its total, and reports each step in percent."""

    def __init__(self, phase: Phase) -> None:
        self.phase = phase
        self._total = 0
        self._done = 0

    def expect(self, total: int) -> None:
        """Say how much work there is, in any one unit, before the first step."""
        self._total = total

    def step(self, message: str, amount: int = 1) -> None:
        """Report that `amount` more of it is done."""
        self._done += amount
        self.phase.progress(round(100 * self._done / self._total, 2), message)


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
