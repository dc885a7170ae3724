"""Memory of an idle monitor and of its connections. `make benchmark` measures 5,000 of them."""

import resource
import time

import psutil
import pytest

from tests.monitor.peers import Raw

#: Connections from one address, so that 5,000 come from 25.
PER_ADDRESS = 200


@pytest.mark.slow
def test_memory_an_idle_connection(benchmark, start_monitor):
    """RSS of the idle server, then of every authenticated, subscribed connection beyond 500."""
    wanted = 5_500 if benchmark.enabled else 600
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted + 500:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted + 500), hard))
    monitor = start_monitor(
        max_connections=10_000,
        connections_per_address=PER_ADDRESS,
        requests_per_window=10 * PER_ADDRESS,
    )
    process = psutil.Process(monitor.pid)
    idle = process.memory_info().rss
    token = monitor.token()
    raws = [connected(monitor.port, token, n) for n in range(500)]
    before, started = process.memory_info().rss, process.cpu_times().user
    begun = time.monotonic()
    raws += [connected(monitor.port, token, n) for n in range(500, wanted)]
    seconds = time.monotonic() - begun
    grown = process.memory_info().rss - before
    per_connection = grown / (wanted - 500)
    benchmark.extra_info.update(
        idle_rss_bytes=idle,
        bytes_per_connection=round(per_connection),
        accept_cpu_us=round((process.cpu_times().user - started) / (wanted - 500) * 1e6),
        accepted_per_s=round((wanted - 500) / seconds),
    )
    benchmark.pedantic(lambda: process.memory_info().rss, rounds=1)
    for raw in raws:
        raw.sock.close()
    assert idle < 60e6
    assert per_connection < 32 * 1024


def connected(port, token, number):
    raw = Raw(port, source=f"127.0.{1 + number // PER_ADDRESS}.1")
    assert b" 101 " in raw.upgrade(f"/?token={token}")
    return raw
