from hypothesis import given
from hypothesis import strategies as st

from monitor.phaseindex import Change, PhaseIndex, PhaseName

NAMES = st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"))


@given(st.lists(st.lists(NAMES, max_size=8), max_size=8))
def test_states_are_the_newest_within_both_bounds(batches: list[list[PhaseName]]) -> None:
    index: PhaseIndex[int] = PhaseIndex(max_runs=2, max_phases=2)
    history: list[PhaseName] = []
    ever: set[PhaseName] = set()
    for batch in batches:
        index.note_all([Change(name, len(history) + at, 1) for at, name in enumerate(batch)])
        history += batch
        ever |= set(batch)
        held = {history[state]: state for state in index.values()}
        for name, state in held.items():
            assert name not in history[state + 1 :]
            assert index.get(name) == state
        runs = {run for run, _ in held}
        assert len(runs) <= 2
        assert all(sum(name[0] == run for name in held) <= 2 for run in runs)
        assert all(index.get(name) is None for name in ever - set(held))
        if batch:
            assert held[batch[-1]] == len(history) - 1


@given(st.lists(NAMES, max_size=20))
def test_an_index_made_anew_from_the_states_decides_the_same(names: list[PhaseName]) -> None:
    straight: PhaseIndex[int] = PhaseIndex(max_runs=2, max_phases=2)
    index: PhaseIndex[int] = PhaseIndex(max_runs=2, max_phases=2)
    for at, name in enumerate(names):
        straight.note(Change(name, at, 1))
        index.note(Change(name, at, 1))
        states = sorted(index.values())
        index = PhaseIndex(max_runs=2, max_phases=2)
        index.note_all([Change(names[state], state, 1) for state in states])
    assert sorted(index.values()) == sorted(straight.values())


@given(st.lists(NAMES, max_size=20))
def test_what_gave_way_is_counted(names: list[PhaseName]) -> None:
    index: PhaseIndex[int] = PhaseIndex(max_runs=2, max_phases=2)
    gone = 0
    for at, name in enumerate(names):
        before = {names[held] for held in index.values()}
        index.note(Change(name, at, 1))
        gone += len((before | {name}) - {names[held] for held in index.values()})
    assert index.dropped == gone
