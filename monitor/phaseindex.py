"""The newest state of each phase of each run, in order of last change. Pure.

Runs and phases are named by publishers, so runs, phases and bytes are bounded: what has gone
unchanged the longest gives way. What a state is, is its owner's business.
"""

from collections.abc import Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

#: Runs whose phase states are kept, phases kept of each, and bytes of all of them.
MAX_RUNS = 50
MAX_PHASES = 200
MAX_STATE_BYTES = 4 * 2**20

State = TypeVar("State")

#: A run and one of its phases; the run is empty for a pipeline that names none.
PhaseName = tuple[str, str]


class Change(NamedTuple, Generic[State]):
    """A phase has a new state, which counts as so many bytes."""

    name: PhaseName
    state: State
    size_bytes: int


class PhaseIndex(Generic[State]):
    """Phase states by name.

    Args:
        max_runs: bound on runs.
        max_phases: bound on the phases of each.
        max_bytes: bound on what all states count as; the newest one is kept whatever its size.

    Attributes:
        dropped: how many states have given way so far.
    """

    def __init__(
        self,
        *,
        max_runs: int = MAX_RUNS,
        max_phases: int = MAX_PHASES,
        max_bytes: int = MAX_STATE_BYTES,
    ) -> None:
        self.dropped = 0
        self._max_runs = max_runs
        self._max_phases = max_phases
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._runs: dict[str, dict[str, Change[State]]] = {}

    def get(self, name: PhaseName) -> State | None:
        """Return the state of a phase, or None."""
        change = self._runs.get(name[0], {}).get(name[1])
        return None if change is None else change.state

    def values(self) -> Iterator[State]:
        """Yield the states run by run, the longest unchanged first in both."""
        for phases in self._runs.values():
            for change in phases.values():
                yield change.state

    def items(self) -> Iterator[tuple[PhaseName, State]]:
        """Yield names and states in the same order."""
        for phases in self._runs.values():
            for change in phases.values():
                yield change.name, change.state

    def note(self, change: Change[State]) -> None:
        """Replace the state of one phase; it, and its run, are the last changed then."""
        run, phase = change.name
        # Reinsertion keeps both mappings in order of last change: the oldest stand first.
        phases = self._runs.pop(run, {})
        before = phases.pop(phase, None)
        if before is not None:
            self._held_bytes -= before.size_bytes
        phases[phase] = change
        self._runs[run] = phases
        self._held_bytes += change.size_bytes
        if len(phases) > self._max_phases:
            self._drop(run, next(iter(phases)))
        if len(self._runs) > self._max_runs:
            oldest = next(iter(self._runs))
            for name in [*self._runs[oldest]]:
                self._drop(oldest, name)
        while self._held_bytes > self._max_bytes:
            oldest = next(iter(self._runs))
            longest = next(iter(self._runs[oldest]))
            if (oldest, longest) == change.name:
                break
            self._drop(oldest, longest)

    def note_all(self, changes: Sequence[Change[State]]) -> None:
        """Take up changes in order; only a phase's last one counts."""
        newest: dict[PhaseName, Change[State]] = {}
        for change in reversed(changes):
            if change.name not in newest:
                newest[change.name] = change
        for change in reversed(newest.values()):
            self.note(change)

    def _drop(self, run: str, phase: str) -> None:
        phases = self._runs[run]
        self._held_bytes -= phases.pop(phase).size_bytes
        self.dropped += 1
        if not phases:
            del self._runs[run]
