"""Turns arrivals into latencies as they come, so that nothing is kept per delivery.

Response time runs from the instant an event was due, service time from the instant it was sent,
both to the instant its bytes were read. Every first arrival of a measured event is counted.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from loadtests.accounting.histogram import BUCKETS, Integers, Recorder
from loadtests.accounting.spread import Spread
from loadtests.schedule.timetable import Timetable

INTERVAL_NS = 1_000_000_000

#: Arrivals gathered before numpy looks at them. Counting delays reading, so a batch must cost
#: less than what is to be resolved: 512 take about 0.1 ms.
BATCH = 512

#: Intervals kept as whole arrays; older ones get few arrivals and shrink to what they hold.
_DENSE_INTERVALS = 4


class Interval:
    """Arrivals of the events due in one interval: histograms by bucket index."""

    def __init__(self) -> None:
        self.count = 0
        self.response_max_ns = 0
        self.response: Counter[int] = Counter()
        self.service: Counter[int] = Counter()
        self._dense: Integers | None = None

    def add(self, response: Integers, response_index: Integers, service_index: Integers) -> None:
        """Count arrivals; index BUCKETS stands for a value no bucket holds."""
        if self._dense is None:
            self._dense = np.zeros((2, BUCKETS + 1), dtype=np.int64)
        self.count += len(response)
        self.response_max_ns = max(self.response_max_ns, int(response.max()))
        np.add.at(self._dense[0], response_index, 1)
        np.add.at(self._dense[1], service_index, 1)

    def shrink(self) -> None:
        """Move what the arrays hold into the sparse counts."""
        if self._dense is None:
            return
        for sparse, dense in zip((self.response, self.service), self._dense, strict=True):
            filled = np.flatnonzero(dense[:BUCKETS])
            sparse.update(dict(zip(filled.tolist(), dense[filled].tolist(), strict=True)))
        self._dense = None


class Latencies:
    """All first arrivals of one process, over all its subscribers."""

    def __init__(self, timetable: Timetable, window_start_ns: int) -> None:
        self.timetable = timetable
        self.window_start_ns = window_start_ns
        self._numbers: list[int] = []
        self._stamps: list[int] = []
        self.response = Recorder()
        self.service = Recorder()
        self.spread = Spread(timetable)
        self.intervals: dict[int, Interval] = {}

    def add(self, numbers: Sequence[int], at_ns: int) -> None:
        """Record first arrivals read at one instant."""
        self._numbers += numbers
        self._stamps += [at_ns] * len(numbers)
        if len(self._numbers) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Count everything added so far."""
        numbers = np.array(self._numbers, dtype=np.int64)
        stamps = np.array(self._stamps, dtype=np.int64)
        self._numbers, self._stamps = [], []
        measured = numbers >= self.timetable.window_first
        if not measured.all():
            numbers, stamps = numbers[measured], stamps[measured]
        if not len(numbers):
            return
        due = self.timetable.due_ns[numbers]
        response = stamps - due
        service = stamps - self.timetable.sent_ns[numbers]
        response_index, service_index = self.response.record(response), self.service.record(service)
        self.spread.add(numbers, response)
        intervals = (due - self.window_start_ns) // INTERVAL_NS
        first, last = int(intervals.min()), int(intervals.max())
        if first == last:
            self._interval(first).add(response, response_index, service_index)
            return
        for number in range(first, last + 1):
            here = intervals == number
            if here.any():
                chosen = response[here], response_index[here], service_index[here]
                self._interval(number).add(*chosen)

    def finish(self) -> None:
        """Count everything and bring every interval into its final form."""
        self.flush()
        for interval in self.intervals.values():
            interval.shrink()

    def _interval(self, number: int) -> Interval:
        found = self.intervals.get(number)
        if found is None:
            found = self.intervals[number] = Interval()
            old = self.intervals.get(number - _DENSE_INTERVALS)
            if old is not None:
                old.shrink()
        return found
