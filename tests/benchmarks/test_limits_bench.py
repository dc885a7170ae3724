"""Cost of the limiter on the hot path; the figures stand in docs/methodology.md."""

import itertools

from pytest_benchmark.fixture import BenchmarkFixture

from monitor.limits import PublishQuota, RequestWindow


def test_a_hit_of_a_busy_client(benchmark: BenchmarkFixture) -> None:
    window = RequestWindow(100, 60.0)
    clock = itertools.count(0.0, 0.6)
    benchmark(lambda: window.hit("127.0.0.1", next(clock)))


def test_a_refused_hit(benchmark: BenchmarkFixture) -> None:
    window = RequestWindow(100, 60.0)
    for _ in range(100):
        window.hit("127.0.0.1", 0.0)
    assert benchmark(window.hit, "127.0.0.1", 1.0) == 59.0


def test_a_hit_among_a_hundred_thousand_clients(benchmark: BenchmarkFixture) -> None:
    keys = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(100_000)]
    window = RequestWindow(100, 60.0, max_keys=100_000)
    for key in keys:
        window.hit(key, 0.0)
    turn, clock = itertools.cycle(keys), itertools.count(0.0, 1e-4)
    benchmark(lambda: window.hit(next(turn), next(clock)))


def test_a_sweep_among_a_hundred_thousand_clients(benchmark: BenchmarkFixture) -> None:
    window = RequestWindow(100, 60.0, max_keys=100_000)
    for number in range(100_000):
        window.hit(str(number), 0.0)
    clock = itertools.count(0.0, 1.0)
    benchmark(lambda: window.sweep(next(clock)))


def test_a_batch_against_the_publishing_quota(benchmark: BenchmarkFixture) -> None:
    quota = PublishQuota(10_000)
    clock = itertools.count(0.0, 1.0)
    benchmark(lambda: quota.take("pipeline", 100, next(clock)))
