"""What the publisher says, ready to go, and what the target answers to it. No sockets."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from loadtests.connections.frames import identifier
from loadtests.schedule.timetable import ACKNOWLEDGED, REFUSED, Timetable
from monitor.contract.target import Publish, fill

_PLACE = "\0"  # no event carries this character

#: How much of what a target refuses with is kept to be quoted.
_SHOWN_BYTES = 200


class Messages:
    """The publications of a trace, ready but for identifier and timestamp."""

    def __init__(
        self,
        publish: Publish,
        run: str,
        events: Sequence[dict[str, Any]],
        recorded: NDArray[np.int64],
    ) -> None:
        self._run = run
        self._recorded = recorded
        self._parts = [_split(publish, event) for event in events]

    def build(self, number: int) -> bytes:
        """Return publication `number`, stamped with the current time."""
        before, between, after, identified_first = self._parts[self._recorded[number]]
        name = identifier(self._run, number)
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
        first, second = (name, stamp) if identified_first else (stamp, name)
        return f"{before}{first}{between}{second}{after}".encode()


def _split(publish: Publish, event: dict[str, Any]) -> tuple[str, str, str, bool]:
    places = {"timestamp": _PLACE, publish.id_field: _PLACE}
    text = msgspec.json.encode({**event, **places}).decode()
    message = fill(publish.message, {"event": text})
    before, between, after = message.split("\\u0000")
    order = [key for key in {**event, **places} if key in places]
    return before, between, after, order[0] == publish.id_field


class Answers:
    """Matches the target's answers to publications; both come in order."""

    def __init__(self, timetable: Timetable, accepted: bytes, refused: bytes) -> None:
        self._timetable = timetable
        self._accepted = accepted
        self._refused = refused
        self.acknowledged = 0
        self.refused = 0
        self.first_refusal = ""
        #: The first publication without an answer.
        self.awaited = 0

    def read(self, texts: Sequence[bytes]) -> None:
        """Take messages of the target; those that are no answer are none of ours."""
        for text in texts:
            number = self.awaited
            if number >= self._timetable.events:
                return
            if self._accepted and self._accepted in text:
                self._timetable.fate[number] |= ACKNOWLEDGED
                self.acknowledged += 1
                self.awaited += 1
            elif self._refused and self._refused in text:
                self._timetable.fate[number] |= REFUSED
                self.refused += 1
                self.awaited += 1
                self.first_refusal = self.first_refusal or _shown(text)

    def cut_off_at(self) -> int:
        """Return the publication an outage began with, once the connection is gone.

        That is the first without an answer, or of those refused right before it: a service that
        is going away says so, and what it says that of is not lost.
        """
        number = self.awaited
        while number and self._timetable.fate[number - 1] & REFUSED:
            number -= 1
        return number

    def skip_to(self, number: int) -> None:
        """Expect no answer to what was published before `number`: its connection is gone."""
        self.awaited = number

    def owed(self, sent: int) -> bool:
        """Tell whether an answer is still to come for the first `sent` publications."""
        return bool(self._accepted) and self.awaited < sent


def _shown(text: bytes) -> str:
    """Return the beginning of what a target said, fit for a terminal."""
    start = text[:_SHOWN_BYTES].decode("utf-8", "replace")
    return "".join(character if character.isprintable() else "�" for character in start)
