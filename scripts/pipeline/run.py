"""Runs the phases in order, each reported by a `Phase` of the publisher."""

from collections.abc import Callable, Iterator
from typing import Any

from monitor.client.reporting import Reporter
from scripts.pipeline.build import Build, Progress
from scripts.pipeline.phases.links import links
from scripts.pipeline.phases.lint import lint
from scripts.pipeline.phases.outline import outline
from scripts.pipeline.phases.package import package
from scripts.pipeline.phases.write import write

#: The one place to add a phase: a function that does it, reports its progress, and returns what
#: it found, as something JSON can hold.
PHASES: tuple[Callable[[Build, Progress], Any], ...] = (outline, lint, write, links, package)


def run(build: Build, reporter: Reporter) -> Iterator[tuple[str, Any]]:
    """Run every phase; yield its name and result as it ends.

    Raises:
        PipelineError: an input is broken. The phase is reported as failed, later ones do not run.
        UsageError: the output folder cannot be used.
    """
    build.prepare()
    for work in PHASES:
        with reporter.phase(work.__name__) as phase:
            result = work(build, Progress(phase))
            build.checkpoint(work.__name__, result, phase)
        yield work.__name__, result
