"""The monitor killed twenty times under load: what was acknowledged is there, once, in order."""

import threading
import time
from collections import defaultdict

import pytest

from monitor.client import Event, Gap, Publisher, Subscribed, Subscriber, connector

from .kit import wait_until

KILLS = 20
NAMES = ("one", "two")
SUBSCRIBERS = 2

#: What a publisher reports ahead of the monitor at most; less than its outbox holds.
AHEAD = 2_000


class Follower(threading.Thread):
    """A subscriber in a thread of its own, until it has seen every publisher's last event."""

    def __init__(self, url, token):
        super().__init__(daemon=True)
        self.events: list[Event] = []
        self.heard = dict.fromkeys(NAMES, 0)  # events of each publisher
        self.unrecovered = 0
        self.gaps: list[Gap] = []
        self._subscriber = Subscriber(url, token, since=0)

    def run(self):
        open_ones = len(NAMES)
        for item in self._subscriber.items():
            match item:
                case Event(snapshot=False):
                    self.events.append(item)
                    self.heard[item.run] += 1
                    open_ones -= item.type == "phase_complete"
                case Subscribed(recovered=False):
                    self.unrecovered += 1
                case Gap():
                    self.gaps.append(item)
            if not open_ones:
                return


class Reporting(threading.Thread):
    """A publisher that reports numbered files until told to stop, then completes its phase."""

    def __init__(self, url, token, name, stop):
        super().__init__(daemon=True)
        self.name = name
        self.published = 0
        self.tally = None
        self._publisher = Publisher(url, token, run=name)
        self._stop_asked = stop

    def run(self):
        with self._publisher as publisher:
            while not self._stop_asked.is_set():
                publisher.trashed(f"{self.name}/{self.published}")
                self.published += 1
                if self.published % AHEAD == 0:
                    self._publisher.flush(60)
                time.sleep(0.001)  # about a thousand events a second, from both together two
            publisher.publish("phase_complete", phase=self.name)
            self.tally = publisher.flush(60)


@pytest.mark.slow
def test_twenty_kills_under_load_lose_double_and_reorder_nothing(start_monitor, monkeypatch):
    # Each link counts as stable, so that the next attempt comes within a second of each kill.
    monkeypatch.setattr(connector, "STABLE_AFTER_S", 0.0)
    monitor = start_monitor(requests_per_window=10_000)
    stop = threading.Event()
    publishers = [
        Reporting(monitor.url, monitor.token("publish", subject=name), name, stop) for name in NAMES
    ]
    followers = [Follower(monitor.url, monitor.token()) for _ in range(SUBSCRIBERS)]
    for thread in (*publishers, *followers):
        thread.start()
    heard = followers[0].heard
    seen = dict(heard)
    for _ in range(KILLS):
        # The next kill comes once events of every publisher flow again, so that each one hits the
        # monitor at work.
        wait_until(lambda: min(count - seen[run] for run, count in heard.items()) > 25)  # noqa: B023
        monitor.kill()
        seen = dict(heard)
        monitor.start()
    stop.set()
    for thread in (*publishers, *followers):
        thread.join(90)
        assert not thread.is_alive()

    for publisher in publishers:
        assert publisher.tally.dropped == 0
        assert publisher.tally.waiting == 0
    for follower in followers:
        assert follower.unrecovered == 0
        assert follower.gaps == []
        offsets = [event.offset for event in follower.events]
        assert offsets == list(range(1, len(offsets) + 1))
        numbers = defaultdict(list)
        for event in follower.events:
            if event.type == "file_trashed":
                numbers[event.run].append(int(event.path.rpartition("/")[2]))
        assert numbers == {p.name: list(range(p.published)) for p in publishers}
