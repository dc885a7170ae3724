"""Times requests against each other: in turn, so that what slows the machine slows them all."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from securitytests.probe.http import Request

if TYPE_CHECKING:
    from securitytests.bench import Bench


async def fastest_each(
    bench: "Bench", requests: Sequence[Request], samples: int
) -> tuple[float, ...]:
    """Return for each request the shortest time to its answer, in seconds, of `samples` tries.

    The shortest, since all that disturbs a measurement makes it longer.
    """
    times: list[list[float]] = [[] for _ in requests]
    for _ in range(samples):
        for request, taken in zip(requests, times, strict=True):
            taken.append(await time_to_answer(bench, request))
    return tuple(min(taken) for taken in times)


async def time_to_answer(bench: "Bench", request: Request) -> float:
    """Return seconds from the first byte sent to the answer, whichever it is."""
    peer = await bench.connect()
    started = bench.now()
    await peer.request(request, body=False)
    taken = bench.now() - started
    peer.stream.close()
    return taken
