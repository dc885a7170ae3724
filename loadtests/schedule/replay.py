"""Reads a recorded trace and turns it into an open schedule at any rate.

The recorded rhythm is kept: within a pipeline, relative inter-arrival times stay as they were,
scaled so that the mean rate is the one asked for, and the trace is looped as often as needed.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitor.contract.verdicts import UsageError

#: What a server adds to an event, or a recorder sees on top: no publisher may send it.
_SERVER_FIELDS = frozenset({"offset", "ref", "snapshot", "epoch"})


class _Header(msgspec.Struct, frozen=True):
    format: Literal[1]
    source: str
    events: Annotated[int, msgspec.Meta(ge=1)]


class _Line(msgspec.Struct, frozen=True):
    at_us: Annotated[int, msgspec.Meta(ge=0)]
    event: dict[str, Any]


class Schedule(msgspec.Struct, frozen=True):
    """When each event is due (ns from the start, ascending) and which recorded event it is."""

    offsets_ns: NDArray[np.int64]
    recorded: NDArray[np.int64]


class Trace(msgspec.Struct, frozen=True):
    """Recorded events, as a publisher may send them, and when each came (µs from the first)."""

    source: str
    at_us: tuple[int, ...]
    events: tuple[dict[str, Any], ...]

    def schedule(self, rate: float, count: int, pipelines: int = 1) -> Schedule:
        """Return the first `count` events at `rate` a second, all `pipelines` together.

        Each pipeline replays the whole trace in a loop, at its share of the rate and shifted
        against the others by an equal part of its loop, as if it had been running before. One
        gap of mean length joins the end of a loop to its beginning.
        """
        length = len(self.at_us)
        at = np.array(self.at_us, dtype=np.float64)
        if at[-1] == 0:
            at = np.arange(length, dtype=np.float64)
        recorded = at[-1] * length / (length - 1) if length > 1 else 1.0
        # Whole nanoseconds throughout, so that every loop is the one before, shifted.
        loop_ns = round(length * pipelines / rate * 1e9)
        within = (at * (loop_ns / recorded)).astype(np.int64)
        number = np.arange(count // pipelines + 2 * length)
        one = (number // length - 1) * loop_ns + within[number % length]
        shifts = np.arange(pipelines)[:, None] * loop_ns // pipelines
        due = (one + shifts).ravel()
        which = np.tile(number % length, pipelines)
        order = np.argsort(due, kind="stable")
        order = order[due[order] >= 0][:count]
        return Schedule(due[order], which[order])

    def takes_s(self, events: int, rate: float, pipelines: int, warmup_s: float) -> float:
        """Return when, counted from the end of the warm-up, the last of so many events is due."""
        # Any stretch may hold up to one loop of the trace more than the mean rate says.
        count = int(rate * warmup_s) + len(self.events) * pipelines + events
        offsets_ns = self.schedule(rate, count, pipelines).offsets_ns
        warmup_ns = int(warmup_s * 1e9)
        last = int(offsets_ns.searchsorted(warmup_ns)) + events - 1
        return float(offsets_ns[last] - warmup_ns) / 1e9


def load_trace(path: Path) -> Trace:
    """Read a trace.

    Raises:
        UsageError: missing or unreadable file, or the line that is wrong and how.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(
            f"trace {path}: cannot be read: {error.strerror}; record one with"
            " `wsproof tail --record FILE` or pass --trace FILE"
        ) from error
    if not lines:
        raise UsageError(
            f"trace {path}: is empty; record one with `wsproof tail --record FILE` or pass"
            " --trace FILE"
        )
    header = _decode(path, 1, lines[0], _Header)
    if len(lines) - 1 != header.events:
        raise UsageError(
            f"trace {path}: line 1 announces {header.events} events, {len(lines) - 1} follow;"
            " the file was cut or edited: record it again"
        )
    at_us: list[int] = []
    events: list[dict[str, Any]] = []
    for number, line in enumerate(lines[1:], start=2):
        entry = _decode(path, number, line, _Line)
        if at_us and entry.at_us < at_us[-1]:
            raise UsageError(
                f"trace {path}: line {number}: at_us {entry.at_us} lies before the line above"
                f" ({at_us[-1]}); times must not run backwards"
            )
        at_us.append(entry.at_us)
        events.append(
            {key: value for key, value in entry.event.items() if key not in _SERVER_FIELDS}
        )
    return Trace(header.source, tuple(at - at_us[0] for at in at_us), tuple(events))


def _decode(path: Path, number: int, line: bytes, into: type[Any]) -> Any:
    try:
        return msgspec.json.decode(line, type=into)
    except msgspec.MsgspecError as error:
        wanted = (
            'a header {"format":1,"source":TEXT,"events":N}'
            if into is _Header
            else 'an event {"at_us":N,"event":{...}}'
        )
        raise UsageError(
            f"trace {path}: line {number}: expected {wanted}, got {line[:80]!r}: {error}"
        ) from error
