"""What `wsproof load` says while it measures, where there is no terminal."""

from types import SimpleNamespace

from loadtests.results import Progress
from scripts.load_display import display


def test_a_repeat_too_short_for_figures_is_not_told_those_of_the_one_before(capsys):
    plan = SimpleNamespace(extent=SimpleNamespace(planned=2))
    with display(plan) as tell:
        tell(1, Progress("measuring", 0.5, 4, 100.0, 2500.0, 0, 800.0))
        tell(1, Progress("draining", 1.0, 4, 0.0, None, 0))
        tell(2, Progress("draining", 1.0, 4, 0.0, None, 0))
    first, second = (line for line in capsys.readouterr().err.splitlines() if "draining" in line)
    assert first.endswith("repeat 1 of 2: draining, 100 events/s, p50 0.80 ms, p99 2.50 ms, 0 lost")
    assert second.endswith("repeat 2 of 2: draining, 4 clients")
