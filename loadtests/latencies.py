"""Turns arrivals into latencies as they come, so that nothing is kept per delivery.

Response time runs from the instant an event was due, service time from the instant it was sent,
both to the instant its bytes were read. Every first arrival of a measured event is counted.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from loadtests.histogram import Integers, Recorder, bucket_index
from loadtests.timetable import Timetable

INTERVAL_NS = 1_000_000_000

#: Arrivals gathered before numpy looks at them: enough to be cheap, few enough to stay current.
_BATCH = 8192


class Interval:
    """Arrivals of the events due in one interval: sparse histograms, by bucket index."""

    def __init__(self) -> None:
        self.response: Counter[int] = Counter()
        self.service: Counter[int] = Counter()
        self.response_max_ns = 0
        self.count = 0


class Latencies:
    """All first arrivals of one process, over all its subscribers."""

    def __init__(self, timetable: Timetable, window_start_ns: int) -> None:
        self.timetable = timetable
        self.window_start_ns = window_start_ns
        self._numbers: list[int] = []
        self._stamps: list[int] = []
        self.response = Recorder()
        self.service = Recorder()
        self.arrivals = np.zeros(timetable.events, dtype=np.uint32)
        self.intervals: dict[int, Interval] = {}

    def add(self, numbers: Sequence[int], at_ns: int) -> None:
        """Record first arrivals read at one instant."""
        self._numbers += numbers
        self._stamps += [at_ns] * len(numbers)
        if len(self._numbers) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Count everything added so far."""
        numbers = np.array(self._numbers, dtype=np.int64)
        stamps = np.array(self._stamps, dtype=np.int64)
        self._numbers, self._stamps = [], []
        measured = numbers >= self.timetable.window_first
        numbers, stamps = numbers[measured], stamps[measured]
        if not len(numbers):
            return
        due = self.timetable.due_ns[numbers]
        response = stamps - due
        service = stamps - self.timetable.sent_ns[numbers]
        self.response.record(response)
        self.service.record(service)
        np.add.at(self.arrivals, numbers, 1)
        self._by_interval((due - self.window_start_ns) // INTERVAL_NS, response, service)

    def _by_interval(self, intervals: Integers, response: Integers, service: Integers) -> None:
        for number in np.unique(intervals).tolist():
            chosen = intervals == number
            interval = self.intervals.setdefault(number, Interval())
            interval.count += int(chosen.sum())
            interval.response.update(_buckets(response[chosen]))
            interval.service.update(_buckets(service[chosen]))
            interval.response_max_ns = max(interval.response_max_ns, int(response[chosen].max()))


def _buckets(values_ns: Integers) -> dict[int, int]:
    """Count values by bucket; values below zero stand in the whole histogram's own count."""
    values_us = (values_ns + 500) // 1000
    index, counts = np.unique(bucket_index(values_us[values_us >= 0]), return_counts=True)
    return dict(zip(index.tolist(), counts.tolist(), strict=True))
