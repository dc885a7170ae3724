"""Abusers against the limits, and an honest client beside them."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import ClassVar

import msgspec

from loadtests.envelope import most_at_once, most_in_window
from loadtests.results import Admission
from loadtests.scenarios import Asked, Scenario, Seen, Values
from loadtests.schedule.course import Move, Point

#: Abusers that ask again and again, each this often a second, and abusers that pile up connections.
_FLOODERS = 4
_ASKED_PER_S = 10.0
_HOARDERS = 2
_BEYOND = 5


class LimitFlood(Scenario):
    """Addresses that flood and hoard are held to the promised limits while an honest client is not.

    In real time: the promised window passes as it does for anyone, so the default window is one
    and a half of the reference monitor's. Four addresses connect ten times a second each, two
    open five connections more than one may hold. Every answer is in `admissions.csv`, the promise
    beside it in the parameters. What counts as an excess was certainly one: it fell into one
    window from our first asking to the target's last answer.
    """

    clients: ClassVar[int] = 5
    rate: ClassVar[float] = 100.0
    warmup_s: ClassVar[float] = 1.0
    window_s: ClassVar[float] = 95.0
    repeats: ClassVar[int] = 1
    once: ClassVar[str] = (
        "it lasts as long as the promised window really does, and each of its addresses is a"
        " sample of its own. Excess is the worst of them, counted: a count has no interval"
    )
    proves: ClassVar[tuple[str, ...]] = (
        "requests_excess = 0",
        "connections_excess = 0",
        "lost = 0",
    )
    needs: ClassVar[tuple[str, ...]] = (
        "promises.requests_per_window",
        "promises.connections_per_address",
    )
    measures: ClassVar[tuple[str, ...]] = (
        "requests_in_window_max",
        "requests_excess",
        "connections_at_once_max",
        "connections_excess",
        "strangers_offered",
        "strangers_refused",
    )

    @classmethod
    def point(cls, asked: Asked) -> Point:
        """Flooders knock in turn; hoarders come all at once and stay."""
        asks = int((asked.window_s - 1) * _ASKED_PER_S)
        moves = [
            Move((asks_before + number / _FLOODERS) / _ASKED_PER_S, "knock", number)
            for asks_before in range(asks)
            for number in range(_FLOODERS)
        ]
        limit = asked.target.promises.connections_per_address or 0
        for number in range(_FLOODERS, _FLOODERS + _HOARDERS):
            moves += [Move(0.5, "hold", number) for _ in range(limit + _BEYOND)]
        return msgspec.structs.replace(
            super().point(asked),
            moves=tuple(moves),
            strangers=_FLOODERS + _HOARDERS,
            punctual=False,
        )

    @classmethod
    def figures(cls, seen: Seen) -> Values:
        """The most that was certainly admitted, and how much of it was over the promise."""
        promises = seen.asked.target.promises
        admissions = seen.result.part.admissions
        end_ns = seen.result.window_start_ns + int(seen.result.window_s * 1e9)
        window_ns = int(promises.window_s * 1e9)
        admitted = [one for one in admissions if one.admitted]
        requests = _worst(
            admitted,
            "knock",
            lambda found: most_in_window(((one.began_ns, one.at_ns) for one in found), window_ns),
        )
        held = _worst(
            admitted,
            "hold",
            lambda found: most_at_once((one.at_ns, one.ended_ns or end_ns) for one in found),
        )
        asked = _worst(
            admissions,
            "knock",
            lambda found: most_in_window(
                ((one.began_ns, one.began_ns) for one in found), window_ns
            ),
        )
        strangers = [one for one in admissions if one.who in {"knock", "hold"}]
        found: Values = {
            "requests_in_window_max": (float(requests), "requests"),
            "connections_at_once_max": (float(held), "connections"),
            "connections_excess": (
                float(max(0, held - (promises.connections_per_address or 0))),
                "connections",
            ),
            "strangers_offered": (float(len(strangers)), "strangers"),
            "strangers_refused": (
                float(sum(not one.admitted for one in strangers)),
                "strangers",
            ),
        }
        limit = promises.requests_per_window or 0
        if asked > limit:  # who never asks for more than is promised tells nothing of a limit
            found["requests_excess"] = (float(max(0, requests - limit)), "requests")
        return found


def _worst(
    admissions: Iterable[Admission], who: str, measure: Callable[[list[Admission]], int]
) -> int:
    """Return the largest figure any one address came to."""
    by_address: dict[str, list[Admission]] = defaultdict(list)
    for one in admissions:
        if one.who == who:
            by_address[one.address].append(one)
    return max(map(measure, by_address.values()), default=0)
