"""The request window: how much is served, and what is said when it is used up."""

import asyncio
import json
import math

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.rates.asking import (
    ask_all,
    beyond,
    counted_page,
    in_time,
    say,
    say_all,
    without_message,
)
from securitytests.check import Claim, check
from securitytests.judging import CannotTellError, Judgement, verdict_of
from securitytests.probe.peer import Handshake


@check(
    id="RL1",
    title="The last allowed request is served, the next refused with a true Retry-After",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.HIGH,
    references=("ASVS-2.4.1", "CWE-770", "RFC6585-4"),
    remediation="Count in one exact window; say in Retry-After when its oldest request leaves it.",
    cost_s=6.0,
    tier="destructive",
)
async def exact_limit(bench: Bench) -> None:
    """A limit that is off by some is none that can be promised.

    From one address exactly as many pages are asked for as the profile promises: all must be
    served. The next must be refused as `answers.over_limit` says; after the time that the answer
    names, which may not exceed the window, one must be served again. The same with messages.
    """
    async with asyncio.TaskGroup() as group:
        group.create_task(_pages(bench))
        group.create_task(_messages(bench))


async def _pages(bench: Bench) -> None:
    with bench.variant("pages"):
        if "http" not in bench.promises.counted:
            return
        request = counted_page(bench)
        limit, address = int(bench.promised("requests_per_window")), bench.own_address()
        started = bench.now()
        answers = await ask_all(bench, [request] * limit, address)
        refusal = await bench.ask(request, address)
        in_time(bench, started)
        good = sum(answer.status == 200 for answer in answers)
        bench.judge(verdict_of(good == limit, f"{limit} served", f"{good} served"))
        bench.judge(beyond(bench, refusal, started))
        wait = _stated(refusal, bench.target.retry_after.header)
        bench.judge(_plausible(bench, wait))
        if wait is not None and wait <= bench.promises.window_s:
            await asyncio.sleep(wait)
            again = await bench.ask(request, address)
            bench.judge(verdict_of(again.status == 200, f"served after {wait:g} s", str(again)))


async def _messages(bench: Bench) -> None:
    with bench.variant("messages"):
        if "message" not in bench.promises.counted or bench.target.keepalive is None:
            return
        limit = int(bench.promised("requests_per_window"))
        expected = bench.answer("over_limit").error
        if expected is None:
            raise CannotTellError("the profile has no `answers.over_limit.error`")
        client = await bench.client("publish", method=without_message(bench))
        started = bench.now()
        used = 1 if "handshake" in bench.promises.counted else 0
        answers = await say_all(bench, client, limit - used)
        refusal = await say(bench, client)
        in_time(bench, started)
        good = used + sum(expected not in text for text in answers)
        bench.judge(
            verdict_of(good == limit, f"{limit} served", f"{good} served"),
            verdict_of(
                expected in refusal, f"then a message with {expected}", refusal or "silence"
            ),
        )
        wait = _field(refusal, bench.target.retry_after.field)
        bench.judge(_plausible(bench, wait))
        if wait is not None and wait <= bench.promises.window_s:
            await asyncio.sleep(wait)
            # Anew from the same address: meanwhile the idle timeout may have come.
            token, source = await bench.token("publish"), client.peer.stream.source
            again = await bench.attempt(token, without_message(bench), source=source)
            bench.judge(verdict_of(again.accepted, f"served after {wait:g} s", str(again)))


def _plausible(bench: Bench, wait: float | None) -> Judgement:
    window = bench.promises.window_s
    return verdict_of(
        wait is not None and 0 < wait <= math.ceil(window),
        f"a wait of at most the window, {window:g} s",
        "none stated" if wait is None else f"{wait:g} s",
    )


def _stated(answer: Handshake, header: str | None) -> float | None:
    if header is None:
        raise CannotTellError("the profile has no `retry_after.header`")
    value = "" if answer.response is None else answer.response.header(header) or ""
    return float(value) if value.replace(".", "", 1).isdecimal() else None


def _field(text: str, field: str | None) -> float | None:
    if field is None:
        raise CannotTellError("the profile has no `retry_after.field`")
    try:
        value = json.loads(text).get(field)
    except ValueError:
        return None
    return float(value) if isinstance(value, int | float) else None
