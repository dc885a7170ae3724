"""The gate tried on servers whose faults are known: seeded flaws, and correct services.

Puts gate, display and evidence together for `wsproof audit --mutants` and `--twins`.
"""

import sys
from fnmatch import fnmatchcase
from pathlib import Path

from monitor.contract.verdicts import ExitCode
from scripts.audit_display import display
from securitytests.gate.interruption import run_interruptibly
from securitytests.gate.mutation import mutation_exit_code, try_mutants
from securitytests.gate.plan import Plan
from securitytests.gate.record import AuditRecorder
from securitytests.gate.twins import services, try_twins, twins_exit_code
from securitytests.mutants.registry import Mutant, discover
from securitytests.outputs import matrix, table

#: The order of the checks and of the services, unless another seed is given.
SEED = 1


def mutants(plan: Plan, only: str | None, runs: Path, command: str, *, full: bool) -> ExitCode:
    """Try the checks on seeded flaws; print detected/seeded and write the evidence."""
    chosen = chosen_mutants(only)
    recorder = AuditRecorder(runs, command, plan.target.path)
    with display(len(chosen)) as tell:
        tried = run_interruptibly(try_mutants(plan, chosen, tell.trial, full=full))
    print(f"Evidence: {recorder.trials(plan, tried, full=full, only=only)}", file=sys.stderr)
    print(matrix.render(tried, plan.checks))
    print()
    print(table.trials(tried))
    return mutation_exit_code(tried)


def chosen_mutants(only: str | None) -> list[Mutant]:
    """Return the mutants whose name, or the name of a check that must catch them, matches."""
    patterns = [part.strip() for part in (only or "*").split(",")]
    return [
        one
        for one in discover().values()
        if any(
            fnmatchcase(name, pattern)
            for pattern in patterns
            for name in (one.name, *one.caught_by)
        )
    ]


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
    """Run the gate against correct services; print false alarms and write the evidence."""
    targets = services(folder)
    drawn = SEED if seed is None else seed
    recorder = AuditRecorder(runs, command, folder, seed=drawn, code=folder)
    with display(repeats) as tell:
        tried = run_interruptibly(
            try_twins(targets, repeats, drawn, tell.twin, only=only, real_time=real_time)
        )
    print(f"Evidence: {recorder.twins(tried, real_time=real_time, only=only)}", file=sys.stderr)
    print(table.twins(tried, whole=only is None))
    return twins_exit_code(tried, whole=only is None)
