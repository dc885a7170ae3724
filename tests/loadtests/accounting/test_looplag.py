"""The receivers' own lag: measured by a timer that is read like a socket."""

import select
import time
from collections.abc import Iterator

import pytest

from loadtests.accounting.looplag import PERIOD_NS, LoopLag
from loadtests.schedule.timetable import now_ns


@pytest.fixture
def lag() -> Iterator[LoopLag]:
    made = LoopLag()
    made.start()
    yield made
    made.stop()


def test_every_instant_of_a_pause_counts_by_how_long_it_waited(lag: LoopLag) -> None:
    started = now_ns()
    with select.epoll() as epoll:
        epoll.register(lag.descriptor, select.EPOLLIN)
        time.sleep(0.1)  # the loop is away
        assert epoll.poll(1)
        until = now_ns()
        lag.read()
    ended = now_ns()
    found = lag.between(started, ended)
    assert (until - started) // PERIOD_NS - 1 <= found.count <= (ended - started) // PERIOD_NS + 1
    assert found.max_us is not None
    assert 90_000 < found.max_us <= (ended - started) / 1000
    # A ramp from the whole pause down to nothing: half of it on average.
    assert found.mean_us == pytest.approx(found.max_us / 2, rel=0.1)


def test_only_what_was_due_in_the_window_counts(lag: LoopLag) -> None:
    started = now_ns()
    time.sleep(0.05)
    lag.read()
    assert lag.between(started, started + 3 * PERIOD_NS).count in {2, 3}
    assert lag.between(now_ns(), now_ns() + PERIOD_NS).count == 0


def test_nothing_is_read_twice(lag: LoopLag) -> None:
    time.sleep(0.02)
    started = now_ns()
    lag.read()
    before = lag.between(0, now_ns()).count
    lag.read()
    ended = now_ns()
    assert lag.between(0, ended).count - before <= (ended - started) // PERIOD_NS + 1
