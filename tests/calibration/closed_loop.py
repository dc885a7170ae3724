"""What most load tools do: send, wait for the delivery, count from the send, send the next.

A client like this sends nothing while the server stands still, so one event only meets the stall
(coordinated omission). It stands beside the harness in the calibration suite as the contrast.
"""

import time
from pathlib import Path

from websockets.sync.client import connect

from monitor.contract.launch import Launch
from monitor.contract.target import load_target


class ClosedLoop:
    """One publisher and one subscriber in turn, at most `rate` events a second."""

    def __init__(self, profile: Path, rate: float) -> None:
        self._profile = profile
        self._rate = rate

    def measure(self, events: int) -> list[float]:
        """Return the time of each event from its send to its delivery, in µs."""
        times_us = []
        with (
            Launch(load_target(self._profile)) as launch,
            connect(launch.target.url) as subscriber,
            connect(launch.target.url) as publisher,
        ):
            begun = time.monotonic()
            for number in range(events):
                time.sleep(max(0.0, begun + number / self._rate - time.monotonic()))
                sent_ns = time.monotonic_ns()
                publisher.send(f'{{"id":"wsp-c105ed-{number:09d}"}}')
                subscriber.recv(timeout=10)
                times_us.append((time.monotonic_ns() - sent_ns) / 1000)
        return times_us
