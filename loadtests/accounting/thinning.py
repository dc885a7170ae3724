"""Which missing deliveries a service's own notices excuse. Pure.

A notice says how many events were left out for one subscriber, and may say over how many offsets.
Then it excuses nothing outside that stretch; without it, as many as it says, the earliest first.
Either way one from the warm-up is spent there and does not pay for a loss in the window.
"""

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from loadtests.accounting.histogram import Integers
from monitor.contract.target import Publish

#: More than any run publishes: what a notice says beyond it is no number of events.
_MOST = 2**53


class Notice(NamedTuple):
    """One notice: the newest event that had come before it, events left out, offsets it spans.

    `span` is None where the service does not say from where to where.
    """

    after: int
    omitted: int
    span: int | None


def left_out(publish: Publish, text: bytes) -> tuple[int, int | None] | None:
    """Return how many events a notice says were left out, and how many offsets it spans.

    One that cannot be read excuses nothing.
    """
    try:
        said = msgspec.json.decode(text)
        omitted, span = int(said[publish.thinned_count]), None
        if publish.thinned_from is not None and publish.thinned_to is not None:
            span = int(said[publish.thinned_to]) - int(said[publish.thinned_from]) + 1
    except (msgspec.DecodeError, LookupError, TypeError, ValueError, OverflowError):
        return None
    sane = 0 <= omitted <= _MOST and 0 <= (span or 0) <= _MOST
    return (omitted, span) if sane else None


def excused(missing: Integers, notices: Sequence[Notice], sent_before: Integers) -> Integers:
    """Return which of the missing events, in order, are excused: as many as the notices allow.

    `missing` are numbers of events that were sent and owed and did not come; `sent_before[n]`
    counts the events before n that were sent, as only those can have an offset. A notice with a
    span speaks of that many events after the newest that had come; one without may be said before
    what was left out, after it, or out of turn. Where more is missing than was announced, the
    earliest are excused.
    """
    reaches = [(*_reach(notice, sent_before), notice.omitted) for notice in notices]
    reaches.sort()
    open_ones: list[list[int]] = []  # [last event, events left] of each, the first to end on top
    found, begun = [], 0
    for number in missing.tolist():
        while begun < len(reaches) and reaches[begun][0] < number:
            heapq.heappush(open_ones, list(reaches[begun][1:]))
            begun += 1
        while open_ones and (open_ones[0][0] < number or not open_ones[0][1]):
            heapq.heappop(open_ones)
        if open_ones:
            open_ones[0][1] -= 1
            found.append(number)
        elif begun == len(reaches):
            break
    return np.array(found, dtype=np.int64)


def _reach(notice: Notice, sent_before: Integers) -> tuple[int, int]:
    """Return the event after which a notice's stretch begins, and its last."""
    end = len(sent_before)
    if notice.span is None:
        return -1, end
    last = int(sent_before[min(notice.after + 1, end - 1)]) + notice.span
    return notice.after, int(np.searchsorted(sent_before, last)) - 1
