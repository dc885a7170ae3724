"""What one repeat leaves behind, as it goes from process to process.

Parts of several Locust processes add up: counts are exact, latencies are histograms, and
whether an event reached everybody is one bit an event.
"""

from typing import Any

import msgspec

#: A fault of a repeat that Locust stopped before it was under way.
UNBEGUN = (
    "stopped before every client was connected, so nothing was measured: allow a longer run time"
    " (-t), or let clients come faster (-r)"
)


class IntervalPart(msgspec.Struct, frozen=True):
    """Deliveries of the events due in one interval; histograms by bucket index."""

    clients: int
    expected: int
    received: int
    response: dict[int, int]
    service: dict[int, int]
    response_max_ns: int


class Admission(msgspec.Struct, frozen=True):
    """One connection attempt and the target's answer; instants on the monotonic clock.

    `due_ns` is when the schedule wanted it (0: it came when it came), `began_ns` when it began,
    `at_ns` when it was answered, `ended_ns` when the connection ended (0: it held). `who` says
    who asked: client, return, resume, or a stranger (knock, hold); `shown` what token a stranger
    showed.
    """

    at_ns: int
    address: str
    admitted: bool
    answer: str
    began_ns: int = 0
    due_ns: int = 0
    ended_ns: int = 0
    who: str = "client"
    shown: str = ""
    recovered: bool = False


class Slow(msgspec.Struct, frozen=True):
    """Subscribers that stopped reading for a while, counted apart: deliveries in all."""

    clients: int = 0
    expected: int = 0
    received: int = 0
    thinned: int = 0
    lost: int = 0
    duplicated: int = 0
    closed: int = 0


class Return(msgspec.Struct, frozen=True):
    """One client's way back after the target went: instants on the monotonic clock, 0 if never.

    `live_ns`: it receives again. `level_ns`: it has everything it was owed up to then.
    """

    down_ns: int
    attempts: int
    live_ns: int
    level_ns: int


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
    fanout: dict[str, dict[str, Any]] = {}
    #: First and last arrival of each measured event, if other processes have clients too.
    extremes: bytes = b""
    slow: Slow = Slow()
    returns: tuple[Return, ...] = ()
    #: Events nobody was owed: not acknowledged because the target was being restarted.
    void: int = 0
    #: How far the moves of the schedule lagged behind their due instants, 99 of 100.
    moves_lag_p99_us: float | None = None
    moves: int = 0
    #: How late the receivers read what was there, in the window: a histogram, empty if unknown.
    loop_lag: dict[str, Any] = {}
    #: What waited unread in all receive queues together, in the window, each time it was come to
    #: read: 99 of 100 times at most, and the most. The longest queue, as a part of its buffer.
    unread_p99_bytes: float | None = None
    unread_max_bytes: int | None = None
    queue_fill_max_percent: float | None = None
    #: The size of each receive buffer, as the kernel made it.
    receive_room_bytes: int | None = None


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


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """One line of the live display; `done` is the share of the repeat that is over."""

    phase: str
    done: float
    clients: int
    events_per_s: float
    p99_us: float | None
    lost: int
    #: The median; of several processes, the largest of theirs.
    p50_us: float | None = None


class Restart(msgspec.Struct, frozen=True, tag="restart"):
    """Asks whoever started us to restart the target now."""


class HostLoad(msgspec.Struct, frozen=True):
    """What was used of all cores in the window, in percent: by everybody; by neither side."""

    busy_percent: float
    others_percent: float


class RepeatResult(msgspec.Struct, frozen=True):
    """One repeat as it was; `window_s` is the measured time, zero if it never came to that.

    `point` is the label of what was offered, `counted` says whether figures are made of it.
    `restart_ns` is when the target was told to restart; `kept` and `believed` whether this repeat
    by itself kept the objectives, and whether its figures are the target's.

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
    point: str = ""
    counted: bool = True
    restart_ns: int = 0
    kept: bool = True
    believed: bool = True
    punctual: bool = True
    #: Locust processes with clients; above one, those that read another clock say how far it was.
    workers: int = 1
    clocks: tuple[str, ...] = ()
    #: How far wrong a response time can be because clocks of several hosts were compared.
    clock_bound_us: float = 0.0
    #: None where it is not known.
    host: HostLoad | None = None
