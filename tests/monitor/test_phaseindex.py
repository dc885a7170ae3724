from hypothesis import given
from hypothesis import strategies as st

from monitor.phaseindex import PhaseIndex, PhaseName

NAMES = st.builds(PhaseName, st.sampled_from("abc"), st.sampled_from("xyz"))


@given(st.lists(st.lists(NAMES, max_size=8), max_size=8))
def test_stored_states_are_the_newest_within_both_bounds(batches: list[list[PhaseName]]) -> None:
    index = PhaseIndex(max_runs=2, max_phases=2)
    table: dict[PhaseName, int] = {}
    history: list[PhaseName] = []
    for batch in batches:
        states, gone = index.apply((name, len(history) + at) for at, name in enumerate(batch))
        history += batch
        assert not set(states) & set(gone)
        table.update(states)
        for name in gone:
            table.pop(name, None)
        for name, state in table.items():
            assert history[state] == name
            assert name not in history[state + 1 :]
        runs = {name.run for name in table}
        assert len(runs) <= 2
        assert all(sum(name.run == run for name in table) <= 2 for run in runs)
        if batch:
            assert table[batch[-1]] == len(history) - 1


@given(st.lists(NAMES, max_size=20))
def test_an_index_made_anew_from_the_names_decides_the_same(names: list[PhaseName]) -> None:
    index = PhaseIndex(max_runs=2, max_phases=2)
    table: dict[PhaseName, int] = {}
    for at, name in enumerate(names):
        states, gone = index.apply([(name, at)])
        table.update(states)
        for dropped in gone:
            del table[dropped]
        index = PhaseIndex(sorted(table, key=table.__getitem__), max_runs=2, max_phases=2)
        assert list(index.apply([])) == [{}, []]
    straight = PhaseIndex(max_runs=2, max_phases=2)
    kept: dict[PhaseName, int] = {}
    for at, name in enumerate(names):
        states, gone = straight.apply([(name, at)])
        kept.update(states)
        for dropped in gone:
            del kept[dropped]
    assert table == kept
