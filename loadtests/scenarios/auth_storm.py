"""A crowd at the door, genuine and not."""

import itertools
from typing import ClassVar

import msgspec

from loadtests.connecting import chosen, connect_times, times
from loadtests.scenarios import Asked, Scenario, Seen, Values
from loadtests.schedule.course import Move, Point

_KNOCKS_PER_S = 60.0

#: One address fails this often at most: throttling of failures is not what is measured here.
_KNOCKS_PER_ADDRESS = 4


class AuthStorm(Scenario):
    """Valid and altered tokens, every way of showing them, at speed: each gets its right answer.

    Sixty strangers a second connect, each in turn by one of the profile's methods with the token
    or with one character of it changed, and go once answered. Meanwhile some clients subscribe as
    usual, and their latency is measured.
    """

    clients: ClassVar[int] = 5
    rate: ClassVar[float] = 100.0
    warmup_s: ClassVar[float] = 1.0
    window_s: ClassVar[float] = 8.0
    proves: ClassVar[tuple[str, ...]] = (
        "knocks_altered_admitted = 0",
        "knocks_valid_refused = 0",
        "lost = 0",
    )
    needs: ClassVar[tuple[str, ...]] = ("authentication.methods", "tokens.subscribe")
    measures: ClassVar[tuple[str, ...]] = (
        "knocks_valid",
        "knocks_valid_refused",
        "knocks_altered",
        "knocks_altered_admitted",
        *times("authenticate"),
    )

    @classmethod
    def point(cls, asked: Asked) -> Point:
        """Knocks in an even stream; valid and altered ones never share an address."""
        methods = asked.target.authentication.methods
        kinds = itertools.cycle(itertools.product(methods, (True, False)))
        count = int((asked.window_s - 1) * _KNOCKS_PER_S)
        moves = tuple(
            Move(
                number / _KNOCKS_PER_S,
                "knock",
                2 * (number // 2 // _KNOCKS_PER_ADDRESS) + (not valid),
                method=method,
                valid=valid,
            )
            for number, (method, valid) in zip(range(count), kinds, strict=False)
        )
        strangers = 1 + max((move.seat for move in moves), default=0)
        return msgspec.structs.replace(super().point(asked), moves=moves, strangers=strangers)

    @classmethod
    def figures(cls, seen: Seen) -> Values:
        """Right and wrong answers, and how long a genuine client waited."""
        knocks = chosen(seen.result.part.admissions, lambda one: one.who == "knock")
        valid = [one for one in knocks if one.shown.startswith("valid")]
        altered = [one for one in knocks if one.shown.startswith("altered")]
        counts = {"knocks_valid": len(valid), "knocks_altered": len(altered)}
        if valid:
            counts["knocks_valid_refused"] = sum(not one.admitted for one in valid)
        if altered:
            counts["knocks_altered_admitted"] = sum(one.admitted for one in altered)
        return {name: (float(count), "knocks") for name, count in counts.items()} | connect_times(
            "authenticate", valid
        )
