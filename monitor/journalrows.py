"""Events and the rows of the journal they are stored in. Pure.

A row holds consecutive events of one commit, a line each: a row costs more to write than what is
in it. Only an event with a publisher's id has one to itself, as the table sees to it that no id
comes twice.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

#: Most events of a row: enough for what a row costs not to matter, few enough to read one by one.
ROW_EVENTS = 64

#: Offset of the newest event in it, payloads, publisher's id and subject, Unix seconds.
Row = tuple[int, bytes, str | None, str | None, float]


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One accepted event: `payload` is its JSON as delivered, in one line; `at` when (unix s).

    `run` is None or not empty. `id` is the publisher's own, unique within its `subject`.
    """

    offset: int
    payload: bytes
    type: str
    run: str | None
    phase: str | None
    id: str | None
    subject: str
    at: float


class Stored(NamedTuple):
    """One event as it was stored."""

    offset: int
    payload: bytes


def rows_of(entries: Sequence[Entry]) -> list[Row]:
    """Return the rows of events that are committed together."""
    rows: list[Row] = []
    joined: list[Entry] = []
    for entry in entries:
        if entry.id is None:
            joined.append(entry)
            if len(joined) < ROW_EVENTS:
                continue
        if joined:
            rows.append(_joined(joined))
            joined.clear()
        if entry.id is not None:
            rows.append((entry.offset, entry.payload, entry.id, entry.subject, entry.at))
    if joined:
        rows.append(_joined(joined))
    return rows


def _joined(entries: list[Entry]) -> Row:
    """Return the row of consecutive events without ids; it is as old as the newest of them."""
    newest = entries[-1]
    lines = b"\n".join([entry.payload for entry in entries])
    if lines.count(b"\n") != len(entries) - 1:
        raise ValueError(f"journal: a payload of several lines among those up to {newest.offset}")
    return newest.offset, lines, None, None, newest.at


def events_of(row: tuple[int, bytes]) -> list[Stored]:
    """Return the events of a row's offset and payload, in order."""
    last, lines = row
    payloads = lines.split(b"\n")
    return [*map(Stored, range(last - len(payloads) + 1, last + 1), payloads)]
