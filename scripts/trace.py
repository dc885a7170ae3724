"""Writes a trace: events with the times between their arrivals, for the load to replay.

First line `{"format":1,"source":…,"recorded_at":…,"events":N}`, then one line an event:
`{"at_us":…,"event":{…}}`, `at_us` counting microseconds from the first. The file appears complete
or not at all.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from monitor.client import Event
from monitor.contract.provenance import utc_now
from monitor.contract.verdicts import UsageError

FORMAT = 1


class TraceWriter:
    """Context manager: leaving it puts the trace in its place, whatever ended the recording.

    Without any event no file is made, and one that was there stays. `tell` is told which.

    Raises (on entering):
        UsageError: the file cannot be written.
    """

    def __init__(self, path: Path, source: str, tell: Callable[[str], None]) -> None:
        self.path = path
        self.events = 0
        self._source = source
        self._tell = tell
        self._first_ns: int | None = None
        self._body_path = path.with_name(f".{path.name}.body")
        self._whole_path = path.with_name(f".{path.name}.partial")

    def __enter__(self) -> Self:
        try:
            self._body = self._body_path.open("wb")
        except OSError as error:
            raise UsageError(
                f"trace {self.path}: cannot be written: {error.strerror}; name another file"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._body.close()
        try:
            if self.events:
                self._assemble()
        finally:
            self._body_path.unlink()
            self._whole_path.unlink(missing_ok=True)
        if self.events:
            self._tell(f"{self.events} events recorded in {self.path}")
        else:
            self._tell(f"no event arrived; {self.path} was not written")

    def add(self, event: Event, arrived_ns: int) -> None:
        """Append one event that arrived at `arrived_ns` of a monotonic clock.

        A snapshot's events are left out: they tell a state, nothing that happened.
        """
        if event.snapshot:
            return
        if self._first_ns is None:
            self._first_ns = arrived_ns
        at_us = (arrived_ns - self._first_ns) // 1_000
        plain = msgspec.structs.replace(event, offset=None)
        self._body.write(msgspec.json.encode({"at_us": at_us, "event": plain}) + b"\n")
        self.events += 1

    def _assemble(self) -> None:
        header = {
            "format": FORMAT,
            "source": self._source,
            "recorded_at": utc_now(),
            "events": self.events,
        }
        with self._whole_path.open("wb") as whole, self._body_path.open("rb") as body:
            whole.write(msgspec.json.encode(header) + b"\n")
            shutil.copyfileobj(body, whole)
        self._whole_path.replace(self.path)
