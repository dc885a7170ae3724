"""Clients that come and go."""

from typing import ClassVar

import msgspec

from loadtests.connecting import chosen, connect_times, counted, counts, times
from loadtests.scenarios import Asked, Scenario, Seen, Values
from loadtests.schedule.course import Move, Point

#: How long one stays away.
_AWAY_S = 0.4

#: Everybody leaves once in this many seconds.
_ROUND_S = 5.0


class Churn(Scenario):
    """Clients leave and come back all the time: nobody else loses anything, no slot is leaked.

    Every client leaves once in five seconds, evenly spread, and is back 0.4 s later on a new
    connection. One who leaves is owed everything due before; one who joins, everything due after
    it was ready.
    """

    clients: ClassVar[int] = 50
    rate: ClassVar[float] = 500.0
    proves: ClassVar[tuple[str, ...]] = ("joins_refused = 0", "lost = 0", "duplicated = 0")
    measures: ClassVar[tuple[str, ...]] = (*counts("joins"), *times("join"))

    @classmethod
    def point(cls, asked: Asked) -> Point:
        """Seat after seat leaves and joins, round after round."""
        moves: list[Move] = []
        turns = int((asked.window_s - 2 * _AWAY_S) * asked.clients / _ROUND_S)
        for turn in range(turns):
            at_s, seat = turn * _ROUND_S / asked.clients, turn % asked.clients
            moves += [Move(at_s, "leave", seat), Move(at_s + _AWAY_S, "join", seat)]
        return msgspec.structs.replace(super().point(asked), moves=tuple(moves))

    @classmethod
    def figures(cls, seen: Seen) -> Values:
        """How the returns went."""
        joins = chosen(seen.result.part.admissions, lambda one: one.due_ns > 0)
        return counted("joins", "joins", joins) | connect_times("join", joins)
