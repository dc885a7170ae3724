"""How a pipeline says what it does: events, and a context manager per phase.

Shared by both publishers. Nothing here waits, and nothing here raises because of the monitor.
"""

import itertools
import logging
import math
import os
import secrets
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from os import PathLike
from types import TracebackType
from typing import Any, Literal, Self, SupportsFloat

import msgspec

from monitor.client.outbox import Entry, Outbox

#: Longest texts the monitor accepts, in characters; longer ones are cut.
_LONGEST = {"phase": 128, "run": 128, "path": 1_024, "message": 4_096, "error": 4_096}

Status = Literal["pending", "in_progress", "completed", "failed"]

#: A path as programs hold it.
Path = str | bytes | PathLike[str] | PathLike[bytes]

_log = logging.getLogger("monitor.client")


def utc_timestamp() -> str:
    """Return the current time as RFC 3339 in UTC, to the microsecond."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Reporter(ABC):
    """Turns calls into events with ids of their own and puts them into the outbox."""

    def __init__(self, outbox: Outbox, run: str | None) -> None:
        self._outbox = outbox
        self._run = run
        self._prefix = secrets.token_hex(8)
        self._numbers = itertools.count(1)
        self._unusable_reported = False

    def publish(
        self,
        kind: str,
        *,
        phase: str | None = None,
        status: Status | None = None,
        progress: SupportsFloat | str | None = None,
        message: object = None,
        path: Path | None = None,
        error: object = None,
    ) -> str:
        """Report one event of type `kind` (see docs/protocol.md) and return its id.

        `progress` is in percent; what lies outside 0–100 is taken as the nearer bound. `message`
        and `error` may be any object: its text is reported. An event that cannot be put into
        words is dropped and counted, and the first one logged; nothing is raised because of it.

        Returns at once; delivery happens behind it.
        """
        event_id = f"{self._prefix}-{next(self._numbers)}"
        try:
            event: dict[str, Any] = {
                "type": kind,
                "phase": phase,
                "status": status,
                "progress": None if progress is None else _percent(progress),
                "path": None if path is None else os.fsdecode(path),
                "error": error,
                "message": message,
                "run": self._run,
                "id": event_id,
                "timestamp": utc_timestamp(),
            }
            payload = _encode(event)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the pipeline goes on
            self._drop(kind, fault)
        else:
            self._put(Entry(event_id, payload, expendable=kind == "phase_progress"))
        return event_id

    def phase(self, name: str) -> "Phase":
        """Return a context manager that reports the phase's start, completion or failure."""
        return Phase(self, name)

    def checkpoint(self, path: Path, *, phase: str | None = None) -> str:
        """Report that a snapshot was saved at `path`."""
        return self.publish("checkpoint_created", path=path, phase=phase)

    def trashed(self, path: Path, *, phase: str | None = None) -> str:
        """Report that the file at `path` was moved to the trash."""
        return self.publish("file_trashed", path=path, phase=phase)

    def _drop(self, kind: str, fault: Exception) -> None:
        self._outbox.drop()
        if not self._unusable_reported:
            self._unusable_reported = True
            _log.warning(
                "a %s event cannot be reported (%s) and was dropped; close() counts further ones",
                kind,
                type(fault).__name__,
            )

    @abstractmethod
    def _put(self, entry: Entry) -> None:
        """Put one event into the outbox, and see to it that it is sent."""


class Phase:
    """One phase of a pipeline: `with publisher.phase("writer") as phase: phase.progress(45)`.

    Entering reports `phase_start`, leaving `phase_complete`; an exception reports
    `phase_failed` with its text, and goes on.
    """

    def __init__(self, reporter: Reporter, name: str) -> None:
        self._reporter = reporter
        self.name = name

    def __enter__(self) -> Self:
        self._reporter.publish("phase_start", phase=self.name)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._reporter.publish("phase_complete", phase=self.name)
        else:
            self._reporter.publish("phase_failed", phase=self.name, error=error)

    def progress(self, percent: SupportsFloat | str, message: object = None) -> None:
        """Report progress in percent; what lies outside 0–100 is taken as the nearer bound."""
        self._reporter.publish("phase_progress", phase=self.name, progress=percent, message=message)

    def checkpoint(self, path: Path) -> None:
        """Report that this phase saved a snapshot at `path`."""
        self._reporter.checkpoint(path, phase=self.name)

    def trashed(self, path: Path) -> None:
        """Report that this phase moved the file at `path` to the trash."""
        self._reporter.trashed(path, phase=self.name)


def _percent(value: SupportsFloat | str) -> float:
    """Return a percentage as a number from 0 to 100, whole where it is whole."""
    percent = float(value)
    bounded = 0.0 if math.isnan(percent) else min(max(percent, 0.0), 100.0)
    return int(bounded) if bounded == int(bounded) else bounded


def _encode(event: dict[str, Any]) -> bytes:
    present = {
        name: value if name == "progress" else _text(name, value)
        for name, value in event.items()
        if value is not None
    }
    return msgspec.json.encode(present)


def _text(name: str, value: object) -> str:
    """Return a field's text, as long as the monitor accepts; an exception may have none."""
    text = str(value)
    if isinstance(value, BaseException):
        text = text.strip() or type(value).__name__
    # Surrogates of undecodable file names have no UTF-8 form.
    return text.encode("utf-8", "replace").decode()[: _LONGEST.get(name, 128)]
