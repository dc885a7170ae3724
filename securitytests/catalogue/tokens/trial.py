"""Shows forged tokens by each way of authenticating, and the good one they were made of."""

import asyncio
from collections.abc import Mapping

from monitor.contract.profile import Method
from monitor.contract.promises import Answer
from securitytests.bench import Bench
from securitytests.judging import either, refused, verdict_of


async def try_forged(bench: Bench, good: str, forged: Mapping[str, str], *others: Answer) -> None:
    """Judge that every forged token is refused, and the good one accepted, by each way.

    Refused as `answers.unauthenticated` says, or as one of `others`.
    """
    expected = either(bench.answer("unauthenticated"), *others)
    await asyncio.gather(*(_one_way(bench, way, good, forged, expected) for way in bench.methods))


async def _one_way(
    bench: Bench, method: Method, good: str, forged: Mapping[str, str], expected: Answer
) -> None:
    with bench.variant(f"{method}, as it should be"):
        attempt = await bench.attempt(good, method)
        bench.judge(verdict_of(attempt.accepted, "accepted", str(attempt)))
    for name, token in forged.items():
        bench.transcript.protect(token)
        with bench.variant(f"{method}, {name}"):
            bench.judge(refused(await bench.attempt(token, method), expected))
