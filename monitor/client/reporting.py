"""How a pipeline says what it does: events, and a context manager per phase.

Shared by both publishers. Nothing here waits, and nothing here raises because of the monitor.
"""

import itertools
import math
import secrets
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from os import PathLike, fspath
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from monitor.client.outbox import Entry, Outbox

#: Longest texts the monitor accepts, in characters; longer ones are cut.
_LONGEST = {"phase": 128, "run": 128, "path": 1_024, "message": 4_096, "error": 4_096}

Status = Literal["pending", "in_progress", "completed", "failed"]


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

    def publish(
        self,
        kind: str,
        *,
        phase: str | None = None,
        status: Status | None = None,
        progress: float | None = None,
        message: str | None = None,
        path: str | PathLike[str] | None = None,
        error: str | None = None,
    ) -> str:
        """Report one event of type `kind` (see docs/protocol.md) and return its id.

        `progress` is in percent. Returns at once; delivery happens behind it.
        """
        event_id = f"{self._prefix}-{next(self._numbers)}"
        event: dict[str, Any] = {
            "type": kind,
            "phase": phase,
            "status": status,
            "progress": progress,
            "path": None if path is None else fspath(path),
            "error": error,
            "message": message,
            "run": self._run,
            "id": event_id,
            "timestamp": utc_timestamp(),
        }
        payload = _encode(event)
        self._put(Entry(event_id, payload, expendable=kind == "phase_progress"))
        return event_id

    def phase(self, name: str) -> "Phase":
        """Return a context manager that reports the phase's start, completion or failure."""
        return Phase(self, name)

    def checkpoint(self, path: str | PathLike[str], *, phase: str | None = None) -> str:
        """Report that a snapshot was saved at `path`."""
        return self.publish("checkpoint_created", path=path, phase=phase)

    def trashed(self, path: str | PathLike[str], *, phase: str | None = None) -> str:
        """Report that the file at `path` was moved to the trash."""
        return self.publish("file_trashed", path=path, phase=phase)

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
            text = str(error).strip() or type(error).__name__
            self._reporter.publish("phase_failed", phase=self.name, error=text)

    def progress(self, percent: float, message: str | None = None) -> None:
        """Report progress in percent; what lies outside 0–100 is taken as the nearer bound."""
        bounded = 0.0 if math.isnan(percent) else min(max(percent, 0.0), 100.0)
        whole = int(bounded) if bounded == int(bounded) else bounded
        self._reporter.publish("phase_progress", phase=self.name, progress=whole, message=message)

    def checkpoint(self, path: str | PathLike[str]) -> None:
        """Report that this phase saved a snapshot at `path`."""
        self._reporter.checkpoint(path, phase=self.name)

    def trashed(self, path: str | PathLike[str]) -> None:
        """Report that this phase moved the file at `path` to the trash."""
        self._reporter.trashed(path, phase=self.name)


def _encode(event: dict[str, Any]) -> bytes:
    present = {}
    for name, value in event.items():
        if value is None:
            continue
        if isinstance(value, str):
            # Surrogates of undecodable file names have no UTF-8 form.
            value = value.encode("utf-8", "replace").decode()  # noqa: PLW2901 - the clean form
            value = value[: _LONGEST.get(name, 128)]  # noqa: PLW2901
        present[name] = value
    return msgspec.json.encode(present)
