"""Readers that stop reading."""

from typing import ClassVar

import msgspec

from loadtests.scenarios import Asked, Scenario, Seen, Values
from loadtests.schedule.course import Move, Point

#: One in five stalls, from a tenth of the window to six tenths.
_SHARE = 0.2
_FROM, _TO = 0.1, 0.6


class SlowConsumer(Scenario):
    """A fifth of the readers stall: the others' latency, the memory, what the slow are told.

    Response times and deliveries are the others' alone; the slow ones' are `deliveries_slow_…`.
    They read again before the end, so that whatever the service keeps for them, thins out or says
    about it can come: what neither came nor was announced is `deliveries_slow_lost`.
    """

    clients: ClassVar[int] = 50
    rate: ClassVar[float] = 1000.0
    proves: ClassVar[tuple[str, ...]] = ("deliveries_slow_lost = 0", "lost = 0")
    measures: ClassVar[tuple[str, ...]] = (
        "clients_slow",
        "clients_slow_closed",
        "deliveries_slow_expected",
        "deliveries_slow_received",
        "deliveries_slow_thinned",
        "deliveries_slow_lost",
        "stalled_from_s",
        "stalled_to_s",
    )

    @classmethod
    def point(cls, asked: Asked) -> Point:
        """The last seats stall together and go on together."""
        slow = max(1, round(asked.clients * _SHARE))
        seats = range(asked.clients - slow, asked.clients)
        stalls = [Move(asked.window_s * _FROM, "stall", seat) for seat in seats]
        reads = [Move(asked.window_s * _TO, "read", seat) for seat in seats]
        moves = (*stalls, *reads)
        return msgspec.structs.replace(super().point(asked), moves=moves)

    @classmethod
    def figures(cls, seen: Seen) -> Values:
        """What became of the slow ones."""
        slow = seen.result.part.slow
        return {
            "clients_slow": (float(slow.clients), "clients"),
            "deliveries_slow_expected": (float(slow.expected), "deliveries"),
            "deliveries_slow_received": (float(slow.received), "deliveries"),
            "deliveries_slow_thinned": (float(slow.thinned), "deliveries"),
            "deliveries_slow_lost": (float(slow.lost), "deliveries"),
            "stalled_from_s": (seen.asked.window_s * _FROM, "s"),
            "stalled_to_s": (seen.asked.window_s * _TO, "s"),
            "clients_slow_closed": (float(slow.closed), "clients"),
        }
