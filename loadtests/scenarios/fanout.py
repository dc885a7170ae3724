"""How latency and reach change with audience and rate."""

from typing import ClassVar

import msgspec

from loadtests.scenarios import Asked, Scenario, Steps
from loadtests.schedule.course import steady

#: Parts of the clients and of the rate asked for that make up the matrix.
_PARTS = (0.1, 0.5, 1.0)


class Fanout(Scenario):
    """A matrix of clients by rate: where latency and reach begin to bend.

    A tenth, half and all of the clients, each at a tenth, half and all of the rate. Every figure
    is given for each point (`c50_r500_response_mean_us`); without a prefix it is the worst point's.
    """

    clients: ClassVar[int] = 100
    rate: ClassVar[float] = 1000.0
    warmup_s: ClassVar[float] = 0.5
    window_s: ClassVar[float] = 2.5
    proves: ClassVar[tuple[str, ...]] = ("lost = 0",)

    @classmethod
    def steps(cls, asked: Asked) -> Steps:
        """Each point of the matrix, as often as repeats are asked for, interleaved."""
        for _ in range(asked.repeats):
            for clients in sorted({max(1, round(asked.clients * part)) for part in _PARTS}):
                for rate in sorted({max(0.1, asked.rate * part) for part in _PARTS}):
                    point = steady(clients, rate, asked.warmup_s, asked.window_s)
                    label = f"c{clients}_r{rate:g}".replace(".", "_")
                    yield msgspec.structs.replace(point, label=label)
