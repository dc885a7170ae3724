"""What tests of a command share: where it may leave something, and a claim to judge."""

import os
from collections.abc import Callable
from pathlib import Path

import psutil

from monitor.contract.evidence import Run, list_runs, load_run

Profile = Callable[..., Path]

CLAIM = """
format = 1
[[claim]]
id = "latency"
label = "Average latency"
claimed = "<5 ms"
sentence = "An event reaches a client in less than 5 ms."
scenario = "chapter"
metric = "response_mean_us"
comparison = "<"
bound = 5000
unit = "us"
requires = ["target_deaths == 0", "deliveries_lost == 0"]
"""


class Folders:
    """Where a command of this test may leave something, and what it left."""

    def __init__(self, root: Path) -> None:
        self.runs = root / "runs"
        self.temporary = root / "tmp"
        self.temporary.mkdir()

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "TMPDIR": str(self.temporary)}

    def run(self) -> Run:
        (path,) = list_runs(self.runs)
        return load_run(path)

    def assert_nothing_left(self) -> None:
        assert list(self.temporary.iterdir()) == []
        if self.runs.exists():
            assert not [path for path in self.runs.iterdir() if path.name.startswith(".")]
        processes = psutil.process_iter(["cmdline"])
        commands = [" ".join(process.info["cmdline"] or ()) for process in processes]
        assert not [command for command in commands if str(self.temporary) in command]
