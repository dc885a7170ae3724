"""Time series of a run: events offered and delivered, and what the processes used.

Plain arrays out of the run folder's tables, with no opinion on how they are drawn.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.contract.evidence import Run
from monitor.contract.tables import RESOURCES, TIMELINE, Scalar, Table

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Rates are drawn over at least this long: a claim "per second" speaks of seconds, and a replayed
#: trace is bursty below that.
_BIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Events per second by second of the measured windows, repeats one after another.

    `starts_s` and `lengths_s` are in the repeat's own window; all arrays have one entry a bin.
    """

    repeat: Integers
    starts_s: Floats
    lengths_s: Floats
    offered: Floats
    delivered: Floats


@dataclass(frozen=True, slots=True)
class Usage:
    """One role's samples: seconds from the start of the run, bytes, percent of one core.

    NaN where nothing could be read; memory also where a process was caught ending and had none.
    """

    at_s: Floats
    rss_bytes: Floats
    cpu_percent: Floats
    descriptors: Floats
    threads: Floats


@dataclass(frozen=True, slots=True)
class Resources:
    """What each process tree used, by role, and when each repeat was sampled."""

    roles: dict[str, Usage]
    repeats: tuple[tuple[int, float, float], ...]  # number, first sample's and last sample's s


def rates(run: Run) -> Rates | None:
    """Read the timeline and join its intervals into bins of a second or more."""
    columns = _columns(run, TIMELINE)
    if columns is None:
        return None
    repeat = columns["repeat"].astype(np.int64)
    # An interval belongs to the bin its middle falls in, so that rounding moves none.
    middle = columns["at_s"] + columns["interval_s"] / 2
    bins = np.floor(middle / _BIN_S).astype(np.int64)
    keys, where = np.unique(np.stack([repeat, bins]), axis=1, return_inverse=True)
    where = where.reshape(-1)

    def total(values: Floats) -> Floats:
        sums = np.bincount(where, weights=np.nan_to_num(values), minlength=keys.shape[1])
        return sums.astype(np.float64)

    starts = np.full(keys.shape[1], np.inf)
    np.minimum.at(starts, where, columns["at_s"])
    lengths = total(columns["interval_s"])
    return Rates(
        repeat=keys[0],
        starts_s=starts,
        lengths_s=lengths,
        offered=total(columns["events_scheduled"]) / lengths,
        delivered=total(columns["events_complete"]) / lengths,
    )


@dataclass(frozen=True, slots=True)
class Course:
    """The timeline's figures by interval, repeats one after another; NaN where none was had."""

    repeat: Integers
    at_s: Floats
    interval_s: Floats
    clients: Floats
    p50_us: Floats
    p99_us: Floats
    max_us: Floats


def course(run: Run) -> Course | None:
    """Read how latency and clients went over each repeat."""
    columns = _columns(run, TIMELINE)
    if columns is None:
        return None
    return Course(
        repeat=columns["repeat"].astype(np.int64),
        at_s=columns["at_s"],
        interval_s=columns["interval_s"],
        clients=columns["clients"],
        p50_us=columns["response_p50_us"],
        p99_us=columns["response_p99_us"],
        max_us=columns["response_max_us"],
    )


def resources(run: Run) -> Resources | None:
    """Read the resource samples, apart by role."""
    rows = list(run.rows(RESOURCES))
    if not rows:
        return None
    role = RESOURCES.names.index("role")
    by_role: dict[str, list[tuple[Scalar, ...]]] = {}
    for row in rows:
        by_role.setdefault(str(row[role]), []).append(row)
    return Resources({name: _usage(found) for name, found in by_role.items()}, _repeats(rows))


def _usage(rows: list[tuple[Scalar, ...]]) -> Usage:
    def column(name: str) -> Floats:
        index = RESOURCES.names.index(name)
        return np.array([np.nan if row[index] is None else row[index] for row in rows], np.float64)

    columns = {name: column(name) for name in Usage.__slots__}
    rss = columns["rss_bytes"]
    return Usage(**{**columns, "rss_bytes": np.where(rss == 0, np.nan, rss)})


def _repeats(rows: list[tuple[Scalar, ...]]) -> tuple[tuple[int, float, float], ...]:
    number, at = RESOURCES.names.index("repeat"), RESOURCES.names.index("at_s")
    times: dict[int, list[float]] = {}
    for row in rows:
        if row[number]:
            times.setdefault(int(row[number] or 0), []).append(float(row[at] or 0))
    return tuple((repeat, min(found), max(found)) for repeat, found in sorted(times.items()))


def _columns(run: Run, table: Table) -> dict[str, Floats] | None:
    rows = list(run.rows(table))
    if not rows:
        return None
    cells = np.array(
        [[np.nan if cell is None else cell for cell in row] for row in rows], np.float64
    )
    return dict(zip(table.names, cells.T, strict=True))
