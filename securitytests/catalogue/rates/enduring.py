"""Floods one after the other, each judged by what the profile promises of an attack."""

import asyncio
from collections.abc import Mapping

from monitor.contract.verdicts import Verdict
from securitytests.bench import Bench
from securitytests.catalogue.rates.calm import require_calm, require_calm_again
from securitytests.catalogue.rates.floods import ABUSERS, Flood, flooding
from securitytests.judging import withstood
from securitytests.watch import Watched


async def endure(bench: Bench, floods: Mapping[str, Flood], flood_s: float) -> None:
    """Measure an honest pair alone, then under each flood for `flood_s`; judge every flood.

    Figures of each go to the evidence. Where a promise was missed the pair is measured alone once
    more: only a machine that is quiet again tells anything.

    Raises:
        CannotTellError: the machine is too busy, before the floods or after a failure.
    """
    await require_calm(bench)
    watched: dict[str, Watched] = {}
    for name, make in floods.items():
        with bench.variant(name):
            turn = await make(bench)
            async with bench.watching(name) as seen, flooding(bench, turn) as count:
                await asyncio.sleep(flood_s)
            bench.figures[f"{name}_abusers"] = ABUSERS
            bench.figures[f"{name}_offered_per_s"] = round(count.done / seen.duration_s, 1)
            watched[name] = seen
    judged = {name: withstood(seen, bench.promises) for name, seen in watched.items()}
    if any(one.verdict is not Verdict.PASS for found in judged.values() for one in found):
        await bench.close()
        await require_calm_again(bench)
    for name, found in judged.items():
        with bench.variant(name):
            bench.judge(*found)
