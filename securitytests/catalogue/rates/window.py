"""The request window: how much is served, and what is said when it is used up."""

import asyncio
import json
import math

from monitor.contract.profile import Method
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import CannotTellError, Judgement, verdict_of
from securitytests.probe.client import Client
from securitytests.probe.http import Request
from securitytests.probe.peer import Handshake

#: Requests under way at a time, below any sensible limit of connections.
_AT_A_TIME = 4

#: Share of the window in which all requests must be made, so that none has left it meanwhile.
_SHARE = 0.8


@check(
    id="RL1",
    title="The last allowed request is served, the next refused with a true Retry-After",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.HIGH,
    references=("ASVS-2.4.1", "CWE-770", "RFC6585-4"),
    remediation="Count in one exact window; say in Retry-After when its oldest request leaves it.",
    cost_s=6.0,
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
        request = _counted_page(bench)
        limit, address = int(bench.promised("requests_per_window")), bench.own_address()
        started = bench.now()
        places = asyncio.Semaphore(_AT_A_TIME)

        async def ask() -> Handshake:
            async with places:
                return await bench.ask(request, address)

        answers = await asyncio.gather(*(ask() for _ in range(limit)))
        beyond = await bench.ask(request, address)
        _in_time(bench, started)
        expected = bench.answer("over_limit").status
        served = sum(answer.status == 200 for answer in answers)
        bench.judge(
            verdict_of(served == limit, f"{limit} served", f"{served} served"),
            verdict_of(
                beyond.status in expected,
                f"then HTTP {' or '.join(map(str, expected))}",
                str(beyond),
            ),
        )
        wait = _stated(beyond, bench.target.retry_after.header)
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
        client = await bench.client("publish", method=_without_message(bench))
        started = bench.now()
        used = 1 if "handshake" in bench.promises.counted else 0
        answers = [await _say(bench, client) for _ in range(limit - used)]
        beyond = await _say(bench, client)
        _in_time(bench, started)
        refused = [text for text in answers if expected in text]
        bench.judge(
            verdict_of(not refused, f"{limit} served", f"{len(refused)} of them refused"),
            verdict_of(expected in beyond, f"then a message with {expected}", beyond or "silence"),
        )
        wait = _field(beyond, bench.target.retry_after.field)
        bench.judge(_plausible(bench, wait))
        if wait is not None and wait <= bench.promises.window_s:
            await asyncio.sleep(wait)
            # Anew from the same address: meanwhile the idle timeout may have come.
            token, source = await bench.token("publish"), client.peer.stream.source
            again = await bench.attempt(token, _without_message(bench), source=source)
            bench.judge(verdict_of(again.accepted, f"served after {wait:g} s", str(again)))


def _counted_page(bench: Bench) -> Request:
    pages = bench.target.pages
    open_pages = [pages.dashboard, *pages.open]
    counted = [page for page in open_pages if page and page not in pages.uncounted]
    if not counted:
        raise CannotTellError("the profile has no page that is open and counted")
    return bench.page_request(counted[0])


def _without_message(bench: Bench) -> Method:
    """Return a way of authenticating that costs no message, where there is one."""
    return next((method for method in bench.methods if method != "message"), bench.methods[0])


async def _say(bench: Bench, client: Client) -> str:
    assert bench.target.keepalive is not None  # noqa: S101 - callers looked
    await client.peer.send_text(bench.target.keepalive.message)
    heard = await client.peer.receive(5)
    while heard.kind in {"ping", "pong"}:
        heard = await client.peer.receive(5)
    return heard.text if heard.kind == "text" else ""


def _in_time(bench: Bench, started: float) -> None:
    took, window = bench.now() - started, bench.promises.window_s
    if took > _SHARE * window:
        raise CannotTellError(f"the requests took {took:.1f} s of a window of {window:g} s")


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
