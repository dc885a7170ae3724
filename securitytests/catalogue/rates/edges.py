"""Where a window begins and ends: no moment at which two allowances can be had at once."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.rates.asking import counted_page, say, speaks, without_message
from securitytests.check import Claim, check
from securitytests.judging import CannotTellError, Judgement, verdict_of

#: Pages tried in a window once the allowance is used up.
_TRIES = 40

#: Refused messages tried, where the profile does not say how many close a connection.
_REFUSED_MESSAGES = 10

Ask = Callable[[], Awaitable[bool]]


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
        refusal = bench.answer("over_limit").status

        async def ask() -> bool:
            answer = await bench.ask(request, address)
            return answer.status is not None and answer.status not in refusal

        hits: list[_Hit] = []
        started = bench.now()
        await _noted(bench, hits, ask)
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

        async def ask() -> bool:
            answer = await say(bench, client)
            return bool(answer) and refusal not in answer

        patience = bench.promises.refused_messages_until_close or _REFUSED_MESSAGES
        most = max(1, min(_REFUSED_MESSAGES, patience - 1))
        await _press(bench, hits, ask, started, most, most)


async def _press(
    bench: Bench, hits: list[_Hit], ask: Ask, started: float, tries: int, refusals: int | None
) -> None:
    """Use up the allowance half a window after `started`, then try on; judge what was served."""
    limit, window = int(bench.promised("requests_per_window")), bench.promises.window_s
    await asyncio.sleep(max(0.0, started + window / 2 - bench.now()))
    for _ in range(limit - len(hits)):
        await _noted(bench, hits, ask)
    full = len(hits)
    if bench.now() > started + window:
        raise CannotTellError(f"{limit} requests took more than half of {window:g} s")
    while bench.now() < started + 1.5 * window and refusals != 0:
        await asyncio.sleep(window / tries)
        if not await _noted(bench, hits, ask) and refusals is not None:
            refusals -= 1
    bench.judge(verdict_of(full == limit, f"{limit} served", f"{full} served"))
    bench.judge(_never_more(hits, limit, window))


async def _noted(bench: Bench, hits: list[_Hit], ask: Ask) -> bool:
    sent = bench.now()
    if not await ask():
        return False
    hits.append(_Hit(sent, bench.now()))
    return True


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
