"""Journals and their entries as the tests of the journal make them."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from monitor.journal import Journal
from monitor.journalfile import JournalFullError
from monitor.journalrows import Entry, Stored

NOW = 1_700_000_000.0


def open_journal(
    path: Path,
    *,
    max_events: int = 10_000,
    max_bytes: int = 2**30,
    max_age_s: float = 1e9,
    synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
) -> Journal:
    journal = Journal.open(
        path,
        max_events=max_events,
        max_bytes=max_bytes,
        max_age_s=max_age_s,
        synchronous=synchronous,
    )
    journal.begin()
    return journal


def entry(offset: int, *, padding: int = 0, **changes: object) -> Entry:
    values: dict[str, object] = {
        "offset": offset,
        "type": "phase_progress",
        "run": None,
        "phase": "writer",
        "id": f"id-{offset}",
        "subject": "pipeline",
        "at": NOW,
        **changes,
    }
    told = {name: values[name] for name in ("type", "run", "phase") if values[name] is not None}
    told |= {"message": "x" * padding} if padding else {}
    values.setdefault("payload", msgspec.json.encode({**told, "offset": offset}))
    return Entry(**values)  # type: ignore[arg-type]


def stored(entries: Iterable[Entry]) -> list[Stored]:
    """What the journal gives back of entries."""
    return [Stored(entry.offset, entry.payload) for entry in entries]


def read(journal: Journal, *, after: int = 0) -> list[Stored]:
    """Everything the journal keeps behind an offset."""
    return [event for event in journal.tail(10**9, 10**12) if event.offset > after]


def killed(path: Path, to: Path) -> Path:
    """Copy what `kill -9` of the process would leave of an open journal; return its path."""
    to.mkdir(exist_ok=True)
    for file in path.parent.glob("journal.*"):
        shutil.copy(file, to)
    return to / path.name


def entries(journal: Journal, count: int, **changes: object) -> list[Entry]:
    return [entry(journal.last + 1 + number, **changes) for number in range(count)]


def fill(journal: Journal) -> int:
    """Append until the disk is full; return how many appends were stored."""
    for stored in range(10_000):
        try:
            journal.append(entries(journal, 20, padding=1_000))
        except JournalFullError:
            return stored
    raise AssertionError("the disk never filled")
