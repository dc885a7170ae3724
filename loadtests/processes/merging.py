"""Adds up what several processes counted in one repeat. Exact: nothing is averaged. Pure."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import msgspec
import numpy as np

from loadtests.accounting.histogram import Recorder
from loadtests.accounting.spread import of_several
from loadtests.results import Admission, IntervalPart, Part, Slow

#: Fields that add up.
_SUMS = (
    "offered",
    "admitted",
    "refused",
    "held",
    "expected",
    "received",
    "thinned",
    "lost",
    "duplicated",
    "reordered",
    "moves",
)


#: Fields that are those of the worst process: what waits in one is no trouble of another's.
_WORST = ("unread_p99_bytes", "unread_max_bytes", "queue_fill_max_percent", "moves_lag_p99_us")


def merge(parts: Sequence[Part]) -> Part:
    """Return one part for all (at least one).

    An event is complete if it is so in every process that has subscribers. Processor use is that
    of the busiest: each has a core of its own to keep below the limit. The first receiver of an
    event is the first of all processes, the last the last; the median is unknown with several.
    """
    listening = [part for part in parts if part.admitted] or list(parts[:1])
    complete = reduce(_both, [part.complete for part in listening])
    return Part(
        **{name: sum(getattr(part, name) for part in parts) for name in _SUMS},
        response=_recorders(parts, lambda part: part.response),
        service=_recorders(parts, lambda part: part.service),
        loop_lag=_recorders([part for part in parts if part.loop_lag], lambda part: part.loop_lag),
        complete=complete,
        intervals=_intervals(parts),
        admissions=tuple(one for part in parts for one in part.admissions),
        cpu_percent=max(part.cpu_percent for part in parts),
        fanout=listening[0].fanout if len(listening) == 1 else _fanout(listening, complete),
        slow=_slow(parts),
        returns=tuple(one for part in parts for one in part.returns),
        void=max(part.void for part in parts),
        receive_room_bytes=min(
            (part.receive_room_bytes for part in parts if part.receive_room_bytes), default=None
        ),
        **{name: _worst(parts, name) for name in _WORST},
    )


def on_our_clock(part: Part, offset_ns: int) -> Part:
    """Return a part of another host with its instants by our clock; `offset_ns`: theirs - ours."""

    def moved(at_ns: int) -> int:
        return at_ns - offset_ns if at_ns else 0

    def admission(one: Admission) -> Admission:
        return msgspec.structs.replace(
            one,
            at_ns=moved(one.at_ns),
            began_ns=moved(one.began_ns),
            due_ns=moved(one.due_ns),
            ended_ns=moved(one.ended_ns),
        )

    return msgspec.structs.replace(part, admissions=tuple(map(admission, part.admissions)))


def without_service(part: Part) -> Part:
    """Return a part without service times: another host does not know when events were sent."""
    intervals = {
        number: msgspec.structs.replace(one, service={}) for number, one in part.intervals.items()
    }
    return msgspec.structs.replace(part, service=Recorder().state(), intervals=intervals)


def _recorders(
    parts: Sequence[Part], chosen: Callable[[Part], dict[str, object]]
) -> dict[str, object]:
    whole = Recorder()
    for part in parts:
        whole.merge(Recorder.restore(chosen(part)))
    return whole.state()


def _worst(parts: Sequence[Part], name: str) -> Any:
    known = [value for part in parts if (value := getattr(part, name)) is not None]
    return max(known, default=None)


def _fanout(parts: Sequence[Part], complete: bytes) -> dict[str, dict[str, Any]]:
    if not all(part.extremes for part in parts):
        return {}
    bits = np.unpackbits(np.frombuffer(complete, np.uint8)).astype(bool)
    found = of_several([part.extremes for part in parts], bits)
    return {name: recorder.state() for name, recorder in found.items()}


def _both(one: bytes, other: bytes) -> bytes:
    return bytes(left & right for left, right in zip(one, other, strict=True))


def _slow(parts: Sequence[Part]) -> Slow:
    names = Slow.__struct_fields__
    return Slow(**{name: sum(getattr(part.slow, name) for part in parts) for name in names})


def _intervals(parts: Sequence[Part]) -> dict[int, IntervalPart]:
    numbers = sorted({number for part in parts for number in part.intervals})
    return {
        number: _interval([part.intervals[number] for part in parts if number in part.intervals])
        for number in numbers
    }


def _interval(found: Sequence[IntervalPart]) -> IntervalPart:
    return IntervalPart(
        clients=sum(one.clients for one in found),
        expected=sum(one.expected for one in found),
        received=sum(one.received for one in found),
        response=_counts([one.response for one in found]),
        service=_counts([one.service for one in found]),
        response_max_ns=max(one.response_max_ns for one in found),
    )


def _counts(histograms: Sequence[dict[int, int]]) -> dict[int, int]:
    whole: dict[int, int] = {}
    for histogram in histograms:
        for index, count in histogram.items():
            whole[index] = whole.get(index, 0) + count
    return whole
