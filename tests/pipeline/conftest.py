"""A small project of real files, and the pipeline run on it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from monitor.client.outbox import Entry, Outbox
from monitor.client.reporting import Reporter
from scripts.pipeline.build import Build
from scripts.pipeline.documents import find_sources
from scripts.pipeline.run import run

README = """\
# The project

Read [the guide](docs/guide.md#second-steps) or [this page](#more).

## More

```sh
make
```
"""
GUIDE = """\
# Guide

## First steps

Go [back](../README.md).

## Second steps

| a | b |
|---|---|
| 1 | `x` |
"""


class Collected(Reporter):
    """A reporter whose events stay in its outbox."""

    def __init__(self) -> None:
        super().__init__(Outbox(), run=None)

    def _put(self, entry: Entry) -> None:
        self._outbox.put(entry)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(e.payload) for e in self._outbox.peek(10_000, 10**9)]


@dataclass
class Project:
    """A folder with sources; `build` runs every phase."""

    root: Path

    def write(self, name: str, content: str | bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def prepared(self, *, strict: bool = False) -> Build:
        return Build(
            root=self.root,
            sources=find_sources(self.root, ["README.md", "docs"]),
            output=self.root / "site",
            strict=strict,
        )

    def build(self, reporter: Reporter | None = None, *, strict: bool = False) -> dict[str, Any]:
        return dict(run(self.prepared(strict=strict), reporter or Collected()))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.write("README.md", README)
    made.write("docs/guide.md", GUIDE)
    return made


@pytest.fixture
def collected() -> Callable[[], Collected]:
    return Collected
