"""Progress of an audit on stderr: a bar where a terminal is there, else a line a check."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.contract.findings import Finding
    from securitytests.gate.mutation import Trial
    from securitytests.gate.twins import TwinRun


class Progress:
    """Told of each check, mutant or twin when it is done. Without a bar it prints one line each."""

    def __init__(self, update: Callable[[str, int], None] | None = None) -> None:
        self._update = update

    def finding(self, finding: "Finding", done: int, total: int) -> None:
        """Show that a check is done."""
        self._show(f"{finding.id} {finding.word}", finding.seconds, done, total)

    def trial(self, trial: "Trial", done: int, total: int) -> None:
        """Show that a mutant is done."""
        self._show(f"{trial.mutant} {trial.word}", trial.seconds, done, total)

    def twin(self, run: "TwinRun", done: int, total: int) -> None:
        """Show that a run against a correct service is done."""
        word = "clean" if run.clean else "not clean"
        self._show(f"{run.service}, seed {run.seed}: {word}", run.seconds, done, total)

    def _show(self, text: str, seconds: float, done: int, total: int) -> None:
        if self._update is not None:
            self._update(text, done)
        else:
            print(f"[{done}/{total}] {text} ({seconds:.1f} s)", file=sys.stderr, flush=True)


@contextlib.contextmanager
def display(total: int) -> Iterator[Progress]:
    """Show the progress of `total` checks, mutants or twins while the block runs."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not console.is_terminal:
        yield Progress()
        return
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting the target", total=total)

        def update(text: str, done: int) -> None:
            bar.update(task, completed=done, description=text)

        yield Progress(update)
