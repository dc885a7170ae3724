"""The gate tried on servers whose faults are known: seeded flaws, and correct services.

Puts gate, display and evidence together for `wsproof audit --mutants` and `--twins`.
"""

import difflib
import sys
from collections.abc import Coroutine, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from monitor.contract.verdicts import ExitCode, NoVerdictError
from scripts.audit_display import display
from securitytests.check import patterns_of
from securitytests.gate.interruption import run_interruptibly
from securitytests.gate.mutation import Trial, mutation_exit_code, try_mutants
from securitytests.gate.plan import Plan
from securitytests.gate.record import AuditRecorder
from securitytests.gate.twins import TwinRun, services, try_twins, twins_exit_code
from securitytests.mutants.registry import Mutant, discover
from securitytests.outputs import matrix, table

#: The order of the checks and of the services, unless another seed is given.
SEED = 1

T = TypeVar("T")


def mutants(plan: Plan, only: str | None, runs: Path, command: str, *, full: bool) -> ExitCode:
    """Try the checks on seeded flaws; print detected/seeded and write the evidence.

    Raises:
        UsageError: there is no such flaw, or the profile is not the reference monitor's.
        KeyboardInterrupt: it was interrupted; the evidence of what was done is written.
    """
    chosen = chosen_mutants(only)
    recorder = AuditRecorder(runs, command, plan.target.path)
    done: list[Trial] = []
    with display(len(chosen)) as tell:

        def told(trial: Trial, count: int, total: int) -> None:
            done.append(trial)
            tell.trial(trial, count, total)

        tried, interrupted = _until_interrupted(
            try_mutants(plan, chosen, told, full=full), done, f"{len(chosen)} flaws"
        )
    folder = recorder.trials(plan, tried, full=full, only=only, interrupted=interrupted)
    _tell_of(folder, interrupted)
    print(matrix.render(tried, plan.checks))
    print()
    print(table.trials(tried))
    return mutation_exit_code(tried)


def _until_interrupted(
    trying: Coroutine[Any, Any, tuple[T, ...]], done: Sequence[T], of: str
) -> tuple[tuple[T, ...], str]:
    """Return what was tried, and how far it came if it was interrupted; empty if it was not."""
    try:
        return run_interruptibly(trying), ""
    except KeyboardInterrupt:
        return tuple(done), f"interrupted after {len(done)} of {of}"


def _tell_of(folder: Path, interrupted: str) -> None:
    """Say where the evidence is.

    Raises:
        KeyboardInterrupt: it was interrupted; no verdict is possible.
    """
    print(f"Evidence: {folder}", file=sys.stderr)
    if interrupted:
        print(f"audit: {interrupted}: it proves nothing", file=sys.stderr)
        raise KeyboardInterrupt


def chosen_mutants(only: str | None) -> list[Mutant]:
    """Return the mutants whose name, or the name of a check that must catch them, matches.

    Raises:
        NoVerdictError: there is no pattern, or one matches none; what was to be tried would not be.
    """
    flaws = discover().values()
    chosen: set[str] = set()
    for pattern in patterns_of("*" if only is None else only):
        matching = {
            one.name
            for one in flaws
            if fnmatchcase(one.name, pattern)
            or any(fnmatchcase(check, pattern.upper()) for check in one.caught_by)
        }
        if not matching:
            names = [
                *(one.name for one in flaws),
                *(check for one in flaws for check in one.caught_by),
            ]
            close = difflib.get_close_matches(pattern, names, n=1)
            hint = f"did you mean {close[0]}?" if close else "docs/checks.md names them"
            raise NoVerdictError(
                f"audit --mutants: --only: none of {len(flaws)} seeded flaws, and no check that"
                f" must catch one, matches {pattern!r}; {hint}"
            )
        chosen |= matching
    return [one for one in flaws if one.name in chosen]


def twins(
    folder: Path,
    repeats: int,
    seed: int | None,
    only: str | None,
    runs: Path,
    command: str,
    *,
    real_time: bool,
) -> ExitCode:
    """Run the gate against correct services; print false alarms and write the evidence.

    Raises:
        KeyboardInterrupt: it was interrupted; the evidence of what was done is written.
    """
    targets = services(folder)
    drawn = SEED if seed is None else seed
    recorder = AuditRecorder(runs, command, folder, seed=drawn, code=folder)
    done: list[TwinRun] = []
    with display(repeats) as tell:

        def told(run: TwinRun, count: int, total: int) -> None:
            done.append(run)
            tell.twin(run, count, total)

        tried, interrupted = _until_interrupted(
            try_twins(targets, repeats, drawn, told, only=only, real_time=real_time),
            done,
            f"{repeats} runs",
        )
    written = recorder.twins(tried, real_time=real_time, only=only, interrupted=interrupted)
    _tell_of(written, interrupted)
    print(table.twins(tried, whole=only is None))
    return twins_exit_code(tried, whole=only is None)
