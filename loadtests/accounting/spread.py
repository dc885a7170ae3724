"""Fan-out per event: when its first, its median and its last receiver had it, and how many did.

Kept for each event in microseconds from its due instant, so that figures are about events, not
about deliveries: twelve bytes an event, whatever the number of receivers.
"""

import numpy as np
from numpy.typing import NDArray

from loadtests.accounting.histogram import Integers, Recorder
from loadtests.schedule.timetable import Timetable

#: The figures of one event, in the order of what is said of them.
FIGURES = ("first_receiver", "median_receiver", "last_receiver", "spread")


class Spread:
    """Arrivals of each event: how many, and when the first, the median and the last.

    `median_rank` is the receiver who is the median one: half of the audience, rounded up.
    """

    def __init__(self, timetable: Timetable) -> None:
        self._timetable = timetable
        #: How many subscribers each event has reached.
        self.arrivals = np.zeros(timetable.events, dtype=np.uint32)
        self.median_rank = 1
        self._first_us = np.zeros(timetable.events, dtype=np.int32)
        self._median_us = np.zeros(timetable.events, dtype=np.int32)
        self._median_known = np.zeros(timetable.events, dtype=bool)
        self._last_us = np.zeros(timetable.events, dtype=np.int32)

    def add(self, numbers: Integers, response_ns: Integers) -> None:
        """Count first arrivals in the order they were read; `response_ns` from the due instant."""
        order = np.argsort(numbers, kind="stable")
        events, after_us = numbers[order], (response_ns[order] // 1000).astype(np.int32)
        begins = np.flatnonzero(np.concatenate(([True], events[1:] != events[:-1])))
        sizes = np.diff(np.append(begins, len(events)))
        rank = np.arange(1, len(events) + 1) - np.repeat(begins, sizes) + self.arrivals[events]
        first, median = rank == 1, rank == self.median_rank
        self._first_us[events[first]] = after_us[first]
        self._median_us[events[median]] = after_us[median]
        self._median_known[events[median]] = True
        self._last_us[events[begins]] = after_us[begins + sizes - 1]
        self.arrivals[events[begins]] += sizes.astype(np.uint32)

    def figures(self, low: int, complete: NDArray[np.bool_]) -> dict[str, Recorder]:
        """Return each figure's distribution over events from `low` on.

        Last receiver and spread speak of the complete ones: an event that somebody never got has
        no last receiver.
        """
        measured = slice(low, low + len(complete))
        first, last = self._first_us[measured], self._last_us[measured]
        chosen = {
            "first_receiver": first[self.arrivals[measured] > 0],
            "median_receiver": self._median_us[measured][self._median_known[measured]],
            "last_receiver": last[complete],
            "spread": (last - first)[complete],
        }
        found = {name: Recorder() for name in FIGURES}
        for name, values_us in chosen.items():
            if len(values_us):
                found[name].record(values_us.astype(np.int64) * 1000)
        return found
