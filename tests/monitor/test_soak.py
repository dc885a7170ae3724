"""50 subscribers at 1,000 events/s: memory, descriptors and threads stay where they are.

Twenty seconds as a test; `make soak` runs half an hour.
"""

import json
import os
import selectors
import socket
import statistics
import threading
import time

import psutil
import pytest

from .kit import event
from .peers import Peer, Raw

SECONDS = float(os.environ.get("WSPROOF_SOAK_S", "20"))
SUBSCRIBERS, RATE, BATCH = 50, 1_000, 10


class Drain(threading.Thread):
    """Reads every subscriber's socket and counts the bytes."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        super().__init__(daemon=True)
        self.received = [0] * len(sockets)
        self._selector = selectors.DefaultSelector()
        for number, each in enumerate(sockets):
            self._selector.register(each, selectors.EVENT_READ, number)
        self._wake, waker = socket.socketpair()
        self._waker = waker
        self._selector.register(self._wake, selectors.EVENT_READ, None)

    def run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                assert isinstance(key.fileobj, socket.socket)
                self.received[key.data] += len(key.fileobj.recv(262_144))

    def stop(self) -> None:
        """End the thread and close what it holds."""
        self._waker.send(b"x")
        self.join()
        self._wake.close()
        self._waker.close()
        self._selector.close()


@pytest.mark.slow
def test_a_long_load_grows_nothing(start_monitor):
    # Small bounds, so that log and journal are full, and at work, early on.
    monitor = start_monitor(
        connections_per_address=100,
        log_bytes=2**20,
        journal_events=2_000,
        journal_bytes=4_000_000,
        ping_interval_s=SECONDS + 600,  # the drain reads, and answers nothing
    )
    process = psutil.Process(monitor.pid)
    token = monitor.token()
    raws = [Raw(monitor.port) for _ in range(SUBSCRIBERS)]
    for raw in raws:
        assert b" 101 " in raw.upgrade(f"/?token={token}")
    drain = Drain([raw.sock for raw in raws])
    drain.start()
    headers = {"Authorization": f"Bearer {monitor.token('publish', ttl_s=SECONDS + 600)}"}
    samples: list[tuple[int, int, int]] = []
    sent = 0
    with Peer(monitor.url, additional_headers=headers) as writer:
        writer.hear()
        started = time.monotonic()
        while (passed := time.monotonic() - started) < SECONDS:
            while sent < passed * RATE:
                batch = [event(run=f"run-{sent // 5000}", progress=n) for n in range(BATCH)]
                assert writer.publish(*batch)["type"] == "ack"
                sent += BATCH
            if len(samples) < passed * 2:
                memory = process.memory_info().rss
                samples.append((memory, process.num_fds(), process.num_threads()))
            time.sleep(0.005)  # the pace of the load, not a wait for anything
    frame = len(json.dumps(event()))
    deadline = time.monotonic() + 30
    while min(drain.received) < sent * frame and time.monotonic() < deadline:
        time.sleep(0.05)
    drain.stop()
    for raw in raws:
        raw.sock.close()

    assert sent >= RATE * SECONDS * 0.5
    assert min(drain.received) >= sent * frame
    warm = samples[len(samples) // 4 :]
    third = len(warm) // 3
    before = statistics.median(memory for memory, _, _ in warm[:third])
    after = statistics.median(memory for memory, _, _ in warm[-third:])
    assert after < before * 1.05
    assert len({descriptors for _, descriptors, _ in warm}) == 1
    assert len({threads for _, _, threads in warm}) == 1
