"""Which phases of which runs have a state worth keeping, in order of last change. Pure.

Runs and phases are named by publishers, so both are bounded: what has gone unchanged the longest
gives way.
"""

from collections.abc import Iterable
from typing import NamedTuple, TypeVar

#: Runs whose phase states are kept, and phases kept of each.
MAX_RUNS = 50
MAX_PHASES = 200

State = TypeVar("State")


class PhaseName(NamedTuple):
    """One phase of one run; the run is empty for a pipeline that names none."""

    run: str
    phase: str


class PhaseIndex:
    """The names of the phases that have a state.

    Args:
        names: those known already, the longest unchanged first.
        max_runs: bound on runs.
        max_phases: bound on the phases of each.
    """

    def __init__(
        self,
        names: Iterable[PhaseName] = (),
        *,
        max_runs: int = MAX_RUNS,
        max_phases: int = MAX_PHASES,
    ) -> None:
        self._max_runs = max_runs
        self._max_phases = max_phases
        self._runs: dict[str, dict[str, None]] = {}
        for name in names:
            self._touch(name)

    def apply(
        self, changes: Iterable[tuple[PhaseName, State]]
    ) -> tuple[dict[PhaseName, State], list[PhaseName]]:
        """Take up changes in order; return the states to store, and the names to drop.

        Only a phase's newest state is stored; a phase is in one of the two or in neither.
        """
        newest: dict[PhaseName, State] = {}
        for name, state in changes:
            newest.pop(name, None)
            newest[name] = state
        gone = [dropped for name in newest for dropped in self._touch(name)]
        stored = {name: state for name, state in newest.items() if self._holds(name)}
        return stored, [name for name in gone if not self._holds(name)]

    def _holds(self, name: PhaseName) -> bool:
        return name.phase in self._runs.get(name.run, ())

    def _touch(self, name: PhaseName) -> list[PhaseName]:
        """Make this phase, and its run, the last changed; return what gives way."""
        run, phase = name
        phases = self._runs.pop(run, {})
        phases.pop(phase, None)
        phases[phase] = None
        self._runs[run] = phases
        gone: list[PhaseName] = []
        if len(phases) > self._max_phases:
            oldest = next(iter(phases))
            del phases[oldest]
            gone.append(PhaseName(run, oldest))
        if len(self._runs) > self._max_runs:
            oldest = next(iter(self._runs))
            gone += [PhaseName(oldest, dropped) for dropped in self._runs.pop(oldest)]
        return gone
