"""The newest state of each phase of each run, in order of last change. Pure.

Runs and phases are named by publishers, so both are bounded: what has gone unchanged the longest
gives way. What a state is, is its owner's business.
"""

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

#: Runs whose phase states are kept, and phases kept of each.
MAX_RUNS = 50
MAX_PHASES = 200

State = TypeVar("State")

#: A run and one of its phases; the run is empty for a pipeline that names none.
PhaseName = tuple[str, str]


class PhaseIndex(Generic[State]):
    """Phase states by name.

    Args:
        max_runs: bound on runs.
        max_phases: bound on the phases of each.

    Attributes:
        dropped: how many states have given way so far.
    """

    def __init__(self, *, max_runs: int = MAX_RUNS, max_phases: int = MAX_PHASES) -> None:
        self.dropped = 0
        self._max_runs = max_runs
        self._max_phases = max_phases
        self._runs: dict[str, dict[str, State]] = {}

    def get(self, name: PhaseName) -> State | None:
        """Return the state of a phase, or None."""
        phases = self._runs.get(name[0])
        return None if phases is None else phases.get(name[1])

    def values(self) -> Iterator[State]:
        """Yield the states run by run, the longest unchanged first in both."""
        for phases in self._runs.values():
            yield from phases.values()

    def items(self) -> Iterator[tuple[PhaseName, State]]:
        """Yield names and states in the same order."""
        for run, phases in self._runs.items():
            for phase, state in phases.items():
                yield (run, phase), state

    def note(self, name: PhaseName, state: State) -> None:
        """Replace the state of one phase; it, and its run, are the last changed then."""
        run, phase = name
        # Reinsertion keeps both mappings in order of last change: the oldest stand first.
        phases = self._runs.pop(run, {})
        phases.pop(phase, None)
        phases[phase] = state
        self._runs[run] = phases
        if len(phases) > self._max_phases:
            del phases[next(iter(phases))]
            self.dropped += 1
        if len(self._runs) > self._max_runs:
            self.dropped += len(self._runs.pop(next(iter(self._runs))))

    def note_all(self, changes: Sequence[tuple[PhaseName, State]]) -> None:
        """Take up changes in order; only a phase's last one counts."""
        newest: dict[PhaseName, State] = {}
        for name, state in reversed(changes):
            if name not in newest:
                newest[name] = state
        for name in reversed(newest):
            self.note(name, newest[name])
