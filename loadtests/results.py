"""What one repeat leaves behind, as it goes from process to process.

Parts of several Locust processes add up: counts are exact, latencies are histograms, and
whether an event reached everybody is one bit an event.
"""

from typing import Any

import msgspec


class IntervalPart(msgspec.Struct, frozen=True):
    """Deliveries of the events due in one interval; histograms by bucket index."""

    clients: int
    expected: int
    received: int
    response: dict[int, int]
    service: dict[int, int]
    response_max_ns: int


class Admission(msgspec.Struct, frozen=True):
    """One connection attempt and the target's answer; `at_ns` on the monotonic clock."""

    at_ns: int
    address: str
    admitted: bool
    answer: str


class Part(msgspec.Struct, frozen=True):
    """Everything one process counted; see `evidence.RunRecord`'s metrics for the words.

    `complete` has one bit for each measured event: it reached every subscriber of this process.
    """

    offered: int
    admitted: int
    refused: int
    held: int
    expected: int
    received: int
    thinned: int
    lost: int
    duplicated: int
    reordered: int
    response: dict[str, Any]
    service: dict[str, Any]
    complete: bytes
    intervals: dict[int, IntervalPart]
    admissions: tuple[Admission, ...]
    cpu_percent: float
    rss_bytes: int


class IntervalPassage(msgspec.Struct, frozen=True):
    """Sends of the events due in one interval; `events` is their range."""

    events: tuple[int, int]
    sent: int
    lag_max_ns: int


class Passage(msgspec.Struct, frozen=True):
    """The measured window from the publisher's side.

    `late` counts every late send, `late_ours` and `unsent_ours` those that were the generator's own
    affair: what fell due while the target was not reading (`pushed_back`) is the target's.
    """

    first: int
    scheduled: int
    sent: int
    dropped: int
    refused: int
    acknowledged: int
    pushed_back: int
    late: int
    late_ours: int
    unsent_ours: int
    lag_p99_us: float | None
    lag_max_us: float | None
    intervals: tuple[IntervalPassage, ...]


class Progress(msgspec.Struct, frozen=True):
    """One line of the live display; `done` is the share of the repeat that is over."""

    phase: str
    done: float
    clients: int
    events_per_s: float
    p99_us: float | None
    lost: int


class RepeatResult(msgspec.Struct, frozen=True):
    """One repeat as it was; `window_s` is the measured time, zero if it never came to that.

    `publisher_died` and `faults` are the generator's doing, `publisher_fault` the target's.
    """

    repeat: int
    started_at_ns: int
    window_start_ns: int
    window_s: float
    interrupted: bool
    part: Part
    passage: Passage
    publisher_died: bool
    publisher_fault: str
    first_refusal: str
    publisher_cpu_percent: float
    faults: tuple[str, ...] = ()
