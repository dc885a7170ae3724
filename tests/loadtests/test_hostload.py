import pytest

from loadtests.hostload import noted
from loadtests.results import HostLoad
from loadtests.sampler import HOST, OTHERS, Host, Sample
from tests.loadtests.test_validity import GOOD, replace

WINDOW = replace(GOOD, window_start_ns=10**9, window_s=1.0)


def sample(at_s: float, role: str, percent: float, processes: int = 2) -> Sample:
    return Sample(int(at_s * 1e9), 1, role, processes, 0, None, percent, None, 0)


TARGET = sample(1.5, "target", 30.0)


def test_the_load_is_a_mean_over_time_in_percent_of_all_cores() -> None:
    seen = [
        *(sample(0.9, HOST, 200), sample(1.0, HOST, 200), sample(1.1, HOST, 200)),
        *(sample(2.0, HOST, 100), sample(2.1, HOST, 0)),
        *(sample(1.0, OTHERS, 0), sample(1.5, OTHERS, 40), sample(2.0, OTHERS, 0)),
    ]
    host = noted(WINDOW, [*seen, TARGET]).host
    assert host is not None
    assert host.busy_percent == pytest.approx((0.1 * 100 + 0.9 * 50) / 1.0)
    assert host.others_percent == pytest.approx(10)


def test_rounding_makes_nobody_give_cores_back() -> None:
    seen = [sample(at, role, -1) for role in (HOST, OTHERS) for at in (1.0, 2.0)]
    assert noted(WINDOW, [*seen, TARGET]).host == HostLoad(-0.5, 0.0)


def test_nothing_is_said_where_the_targets_processes_are_unknown() -> None:
    seen = [sample(at, role, 100) for role in (HOST, OTHERS) for at in (1.0, 2.0)]
    assert noted(WINDOW, seen).host is None
    assert noted(WINDOW, [TARGET]).host is None


def test_what_others_use_is_the_rest_of_what_is_used() -> None:
    host = Host()
    assert list(host.sample(1, [])) == []
    busy, others = host.sample(1, [sample(0, "target", 12.0), sample(0, "generator", 5.0)])
    assert (busy.role, others.role) == (HOST, OTHERS)
    assert busy.cpu_percent is not None
    assert others.cpu_percent is not None
    assert others.cpu_percent <= busy.cpu_percent - 17.0
