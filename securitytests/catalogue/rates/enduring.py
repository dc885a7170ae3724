"""Floods one after the other, each judged by what the profile promises of an attack."""

import asyncio
from collections.abc import Iterable, Mapping

from monitor.contract.verdicts import Verdict
from securitytests.bench import Bench
from securitytests.catalogue.rates.calm import require_calm, require_calm_again
from securitytests.catalogue.rates.floods import ABUSERS, Count, Flood, flooding
from securitytests.judging import Judgement, withstood
from securitytests.watch import Watched


async def endure(bench: Bench, floods: Mapping[str, Flood], flood_s: float) -> None:
    """Measure an honest pair alone, then under each flood for `flood_s`; judge every flood.

    A flood in which an abuser did nothing proves nothing of the service that withstood it. Figures
    of each go to the evidence. Where a promise was missed the pair is measured alone once
    more: only a machine that is quiet again tells anything.

    Raises:
        CannotTellError: the machine is too busy, before the floods or after a failure.
    """
    await require_calm(bench)
    judged: dict[str, tuple[Judgement, ...]] = {}
    for name, make in floods.items():
        with bench.variant(name):
            turn = await make(bench)
            async with bench.watching(name) as seen, flooding(bench, turn) as count:
                await asyncio.sleep(flood_s)
            bench.figures[f"{name}_abusers"] = ABUSERS
            bench.figures[f"{name}_offered_per_s"] = round(count.done / seen.duration_s, 1)
            bench.figures[f"{name}_stopped_turns"] = count.stopped
            judged[name] = (*withstood(seen, bench.promises), *_flooded(count))
    await calm_if_missed(bench, [one for found in judged.values() for one in found])
    for name, found in judged.items():
        with bench.variant(name):
            bench.judge(*found)


async def judge_attack(bench: Bench, seen: Watched) -> None:
    """Judge what was seen of an attack, the last thing of a check, as `endure` judges a flood.

    Raises:
        CannotTellError: a promise was missed, and the machine is not quiet.
    """
    found = withstood(seen, bench.promises)
    await calm_if_missed(bench, found)
    bench.judge(*found)


async def calm_if_missed(bench: Bench, found: Iterable[Judgement]) -> None:
    """Close all connections, and measure an honest pair alone, if a promise was missed.

    Raises:
        CannotTellError: a promise was missed, and the machine is not quiet.
    """
    if any(one.verdict is not Verdict.PASS for one in found):
        await bench.close()
        await require_calm_again(bench)


def _flooded(count: Count) -> tuple[Judgement, ...]:
    """Judge that there was a flood: nothing to say where every abuser did something."""
    if not count.idle:
        return ()
    wanted = f"{ABUSERS} abusers flood"
    actual = f"{len(count.idle)} of them did not bring one turn to its end"
    return (Judgement(Verdict.INCONCLUSIVE, wanted, actual),)
