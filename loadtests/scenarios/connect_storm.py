"""Everybody at once."""

from typing import ClassVar

import msgspec

from loadtests.connecting import chosen, connect_times, counted, counts, times
from loadtests.scenarios import Asked, Scenario, Seen, Values
from loadtests.schedule.course import Move, Point

#: The storm begins a second into the window and lasts one.
_BEGINS_S = 1.0
_STORM_S = 1.0


class ConnectStorm(Scenario):
    """All clients arrive within one second: how long until each is served, and who is refused.

    Arrivals are evenly spaced and due whether or not the last one was answered, so `--clients 500`
    is 500 arrivals/s. A connection's time runs from the instant it was due to the instant its
    events flow. Whoever is in gets every event from then on, or it is lost.
    """

    clients: ClassVar[int] = 200
    rate: ClassVar[float] = 100.0
    warmup_s: ClassVar[float] = 0.5
    window_s: ClassVar[float] = 5.0
    proves: ClassVar[tuple[str, ...]] = ("connections_refused = 0", "lost = 0")
    measures: ClassVar[tuple[str, ...]] = (
        *counts("connections"),
        *times("connect"),
        "connections_offered_per_s",
        "connections_admitted_per_s",
        "storm_over_s",
    )

    @classmethod
    def point(cls, asked: Asked) -> Point:
        """Every seat is empty until its instant within the storm."""
        moves = tuple(
            Move(_BEGINS_S + _STORM_S * seat / asked.clients, "join", seat)
            for seat in range(asked.clients)
        )
        return msgspec.structs.replace(super().point(asked), moves=moves)

    @classmethod
    def figures(cls, seen: Seen) -> Values:
        """How long connecting took, and how many a second were let in at the height of it."""
        storm = chosen(seen.result.part.admissions, lambda one: one.who == "client")
        ready = sorted(one.at_ns for one in storm if one.admitted)
        found = counted("connections", "connections", storm) | connect_times("connect", storm)
        found["connections_offered_per_s"] = (len(storm) / _STORM_S, "connections/s")
        if len(ready) > 1:
            took_s = (ready[-1] - min(one.due_ns for one in storm)) / 1e9
            found["connections_admitted_per_s"] = (len(ready) / took_s, "connections/s")
            found["storm_over_s"] = (took_s, "s")
        return found
