"""What `wsproof load` shows while it measures: a live bar on a terminal, lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadtests.plan import Plan
    from loadtests.results import Progress

    Tell = Callable[[int, Progress], None]


@contextmanager
def display(plan: "Plan") -> Iterator["Tell"]:
    """Yield what takes the progress of repeat k (0: calibration), and show it on stderr."""
    planned = plan.extent.planned
    if sys.stderr.isatty():
        with _bar(planned) as tell:
            yield tell
    else:
        yield _lines(planned)


def _title(repeat: int, planned: int | None) -> str:
    if not repeat:
        return "calibrating on the null server"
    return f"repeat {repeat} of {planned}" if planned else f"attempt {repeat}"


def _figures(progress: "Progress") -> str:
    if progress.p99_us is None or progress.p50_us is None:
        return f"{progress.clients} clients"
    return (
        f"{progress.events_per_s:,.0f} events/s, p50 {progress.p50_us / 1000:.2f} ms,"
        f" p99 {progress.p99_us / 1000:.2f} ms, {progress.lost:,} lost"
    )


def _lines(planned: int | None) -> "Tell":
    """One line whenever a repeat enters a new phase."""
    said: tuple[int, str] | None = None
    latest = ""
    started = time.monotonic()

    def tell(repeat: int, progress: "Progress") -> None:
        nonlocal said, latest
        if said is None or repeat != said[0]:
            latest = ""
        if progress.p99_us is not None:
            latest = _figures(progress)
        now = (repeat, progress.phase)
        if now == said:
            return
        said = now
        detail = (progress.phase == "draining" and latest) or _figures(progress)
        at = time.monotonic() - started
        print(
            f"{at:6.1f} s  {_title(repeat, planned)}: {progress.phase}, {detail}", file=sys.stderr
        )

    return tell


@contextmanager
def _bar(planned: int | None) -> Iterator["Tell"]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    # rich honours NO_COLOR by itself.
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        total = None if planned is None else planned + 1
        task = bar.add_task("starting", total=total, figures="")

        def tell(repeat: int, progress: "Progress") -> None:
            bar.update(
                task,
                completed=repeat + progress.done,
                description=f"{_title(repeat, planned)}: {progress.phase}",
                figures=_figures(progress),
            )

        yield tell
