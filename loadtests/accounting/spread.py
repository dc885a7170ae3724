"""Fan-out per event: when its first, its median and its last receiver had it, and how many did.

Kept for each event in microseconds from its due instant, so that figures are about events, not
about deliveries: twelve bytes an event, whatever the number of receivers. Of several processes,
the first is the first of theirs and the last the last; the median would take every arrival.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from loadtests.accounting.histogram import Integers, Recorder
from loadtests.schedule.timetable import Timetable

#: The figures of one event, in the order of what is said of them.
FIGURES = ("first_receiver", "median_receiver", "last_receiver", "spread")

#: First and last of an event that came to nobody: earlier and later than any other.
_NEVER_FIRST, _NEVER_LAST = np.iinfo(np.int32).max, np.iinfo(np.int32).min


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
        found = _of_extremes(
            self._first_us[measured], self._last_us[measured], self.arrivals[measured] > 0, complete
        )
        median = self._median_us[measured][self._median_known[measured]]
        return {name: found.get(name) or _recorder(median) for name in FIGURES}

    def extremes(self, low: int, events: int) -> bytes:
        """Return the first and the last arrival of so many events from `low` on, deflated.

        Eight bytes an event before that, whatever the number of receivers.
        """
        measured = slice(low, low + events)
        came = self.arrivals[measured] > 0
        first = np.where(came, self._first_us[measured], _NEVER_FIRST)
        last = np.where(came, self._last_us[measured], _NEVER_LAST)
        return zlib.compress(np.stack((first, last)).astype(np.int32).tobytes(), 1)


def of_several(extremes: Sequence[bytes], complete: NDArray[np.bool_]) -> dict[str, Recorder]:
    """Return what can be said exactly of several processes' receivers: all but the median.

    `complete` says which events reached everybody in every process; bits beyond them count for
    nothing.
    """
    found = np.stack(
        [np.frombuffer(zlib.decompress(one), dtype=np.int32).reshape(2, -1) for one in extremes]
    )
    first, last = found[:, 0].min(axis=0), found[:, 1].max(axis=0)
    return _of_extremes(first, last, first != _NEVER_FIRST, complete[: len(first)])


def _of_extremes(
    first_us: NDArray[np.int32],
    last_us: NDArray[np.int32],
    came: NDArray[np.bool_],
    complete: NDArray[np.bool_],
) -> dict[str, Recorder]:
    return {
        "first_receiver": _recorder(first_us[came]),
        "last_receiver": _recorder(last_us[complete]),
        "spread": _recorder(last_us[complete] - first_us[complete]),
    }


def _recorder(values_us: NDArray[np.int32]) -> Recorder:
    recorder = Recorder()
    if len(values_us):
        recorder.record(values_us.astype(np.int64) * 1000)
    return recorder
