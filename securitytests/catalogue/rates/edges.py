"""Where a window begins and ends: no moment at which two allowances can be had at once."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.rates.asking import (
    ask_all,
    counted_page,
    say_all,
    served,
    speaks,
    without_message,
)
from securitytests.check import Claim, check
from securitytests.judging import CannotTellError, Judgement, verdict_of

#: Pages tried in a window once the allowance is used up.
_TRIES = 40

#: Refused messages tried, where the profile does not say how many close a connection.
_REFUSED_MESSAGES = 10

#: Makes so many requests at once; returns how many of them were served.
Ask = Callable[[int], Awaitable[int]]


class _Hit(msgspec.Struct, frozen=True):
    """One request that was served: it was counted between these instants (loop time)."""

    sent: float
    answered: float


@check(
    id="RL2",
    title="In any window of time, wherever it begins, no more than the promise is served",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("CWE-770", "ASVS-2.4.1"),
    remediation="Keep the times of what was served; a counter that is reset doubles at its edge.",
    cost_s=6.5,
    tier="destructive",
)
async def no_double_burst(bench: Bench) -> None:
    """A counter that starts anew each minute serves twice the promise around the minute's end.

    One request is made; half a window later as many as fit, at once; then one after another is
    tried until one and a half windows have passed. Wherever the service's windows begin, one
    begins in between. It is a fault if one more than the promise was served between the sending
    of the first and the answer to the last in less than the window: clocks do not come into it.
    The same with messages on one connection, as far as refusals do not close it.
    """
    async with asyncio.TaskGroup() as group:
        group.create_task(_pages(bench))
        group.create_task(_messages(bench))


async def _pages(bench: Bench) -> None:
    with bench.variant("pages"):
        if "http" not in bench.promises.counted:
            return
        request, address = counted_page(bench), bench.own_address()

        async def ask(count: int) -> int:
            return served(bench, await ask_all(bench, [request] * count, address))

        hits: list[_Hit] = []
        started = bench.now()
        await _noted(bench, hits, ask, 1)
        await _press(bench, hits, ask, started, _TRIES, None)


async def _messages(bench: Bench) -> None:
    with bench.variant("messages"):
        if not speaks(bench):
            return
        refusal = bench.answer("over_limit").error
        if refusal is None:
            raise CannotTellError("the profile has no `answers.over_limit.error`")
        started = bench.now()
        client = await bench.client("publish", method=without_message(bench))
        hits = [_Hit(started, bench.now())] if "handshake" in bench.promises.counted else []

        async def ask(count: int) -> int:
            answers = await say_all(bench, client, count)
            return sum(refusal not in answer for answer in answers)

        patience = bench.promises.refused_messages_until_close or _REFUSED_MESSAGES
        most = max(1, min(_REFUSED_MESSAGES, patience - 1))
        await _press(bench, hits, ask, started, most, most)


async def _press(
    bench: Bench, hits: list[_Hit], ask: Ask, started: float, tries: int, refusals: int | None
) -> None:
    """Use up the allowance half a window after `started`, then try on; judge what was served."""
    limit, window = int(bench.promised("requests_per_window")), bench.promises.window_s
    await asyncio.sleep(max(0.0, started + window / 2 - bench.now()))
    await _noted(bench, hits, ask, limit - len(hits))
    full = len(hits)
    if bench.now() > started + window:
        raise CannotTellError(f"{limit} requests took more than half of {window:g} s")
    while bench.now() < started + 1.5 * window and refusals != 0:
        await asyncio.sleep(window / tries)
        if not await _noted(bench, hits, ask, 1) and refusals is not None:
            refusals -= 1
    bench.judge(verdict_of(full == limit, f"{limit} served", f"{full} served"))
    bench.judge(_never_more(hits, limit, window))


async def _noted(bench: Bench, hits: list[_Hit], ask: Ask, count: int) -> int:
    """Ask so many times at once and note what was served; return how many were."""
    sent = bench.now()
    good = await ask(count)
    hits += [_Hit(sent, bench.now())] * good
    return good


def _never_more(hits: list[_Hit], limit: int, window_s: float) -> Judgement:
    """Judge that no `limit` + 1 requests were certainly served within less than a window."""
    shortest = min(
        (hits[at + limit].answered - hits[at].sent for at in range(len(hits) - limit)),
        default=None,
    )
    return verdict_of(
        shortest is None or shortest >= window_s,
        f"never more than {limit} in {window_s:g} s",
        "no more" if shortest is None else f"{limit + 1} within {shortest:.2f} s",
    )
