"""What master and workers say to each other over Locust's own connection."""

import zlib
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from loadtests.assignment import Assignment
from loadtests.publishing.player import Outcome

Said = TypeVar("Said", bound=msgspec.Struct)


class Share(msgspec.Struct, frozen=True):
    """Master to worker: its share of the repeat.

    `assignment` names no file of the worker's; `profile` and `trace` are the texts of two it
    needs. `clock` identifies the master's clock, `timetable` is where its timetable is, for
    workers that read the same clock.
    """

    assignment: Assignment
    number: int
    profile: str
    trace: str
    clock: str
    timetable: str


class Settled(msgspec.Struct, frozen=True):
    """Worker to master: all of its clients are ready or refused; which clock it reads."""

    ready: int
    clock: str


class Failed(msgspec.Struct, frozen=True):
    """Worker to master: it cannot take part, and why, with the exit code that says so."""

    reason: str
    exit_code: int


class Question(msgspec.Struct, frozen=True):
    """Master to worker: answer at once. Instants in ns, each by the clock of who says it."""

    asked_ns: int


class Answer(msgspec.Struct, frozen=True):
    """Worker to master: when the question was heard, and when this was said."""

    asked_ns: int
    heard_ns: int
    answered_ns: int


class Begin(msgspec.Struct, frozen=True):
    """Master to worker: the schedule begins at this instant of the worker's clock."""

    start_ns: int


class Finished(msgspec.Struct, frozen=True):
    """Master to worker: the publisher is done; the fate of each event, deflated.

    `outcome` is None if the publisher died or was cut off.
    """

    outcome: Outcome | None
    fate: bytes


class Cut(msgspec.Struct, frozen=True):
    """Master to worker: the window ends at this instant of the worker's clock."""

    end_ns: int


def kind(said: type[msgspec.Struct]) -> str:
    """Return the name Locust routes such messages by."""
    return f"wsproof-{said.__name__.lower()}"


def pack(said: msgspec.Struct) -> dict[str, Any]:
    """Return a message's content as Locust carries it."""
    return {"json": msgspec.json.encode(said)}


def unpack(carried: Any, into: type[Said]) -> Said:
    """Read a message's content."""
    return msgspec.json.decode(carried["json"], type=into)


def deflated(fate: NDArray[np.uint8]) -> bytes:
    """Return the fate of all events, small enough for a message."""
    return zlib.compress(fate.tobytes(), 1)


def inflated(fate: bytes) -> NDArray[np.uint8]:
    """Return the fate of all events."""
    return np.frombuffer(zlib.decompress(fate), np.uint8)
