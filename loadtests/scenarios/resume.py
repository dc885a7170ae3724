"""Clients that are cut off and ask for what they missed."""

from typing import ClassVar

import msgspec

from loadtests.connecting import chosen, connect_times, counted, times
from loadtests.scenarios import Asked, Scenario, Seen, Values
from loadtests.schedule.course import Move, Point

#: Everybody is cut off once in this many seconds, and stays away this long.
_ROUND_S = 2.5
_AWAY_S = 0.5


class Resume(Scenario):
    """Connections are cut without a word and resumed: nothing lost, nothing twice, still in order.

    The books of a client go on across its connections: what it missed while it was away must come
    after it resumed, once. Response times count it too, from when it was due.
    """

    clients: ClassVar[int] = 20
    rate: ClassVar[float] = 500.0
    proves: ClassVar[tuple[str, ...]] = (
        "resumes_refused = 0",
        "lost = 0",
        "duplicated = 0",
        "reordered = 0",
    )
    needs: ClassVar[tuple[str, ...]] = ("resume",)
    measures: ClassVar[tuple[str, ...]] = (
        "resumes_offered",
        "resumes_refused",
        "resumes_recovered",
        *times("resume"),
    )

    @classmethod
    def point(cls, asked: Asked) -> Point:
        """Seat after seat is cut and resumes, round after round."""
        moves: list[Move] = []
        turns = int((asked.window_s - 2 * _AWAY_S) * asked.clients / _ROUND_S)
        for turn in range(turns):
            at_s, seat = turn * _ROUND_S / asked.clients, turn % asked.clients
            moves += [
                Move(at_s, "cut", seat),
                Move(at_s + _AWAY_S, "join", seat, resumes=True),
            ]
        return msgspec.structs.replace(super().point(asked), moves=tuple(moves))

    @classmethod
    def figures(cls, seen: Seen) -> Values:
        """How many resumed, and how many were told that nothing is missing."""
        found = chosen(seen.result.part.admissions, lambda one: one.who == "resume")
        counts = counted("resumes", "resumes", found)
        if found:
            counts["resumes_recovered"] = (float(sum(one.recovered for one in found)), "resumes")
        return counts | connect_times("resume", found)
