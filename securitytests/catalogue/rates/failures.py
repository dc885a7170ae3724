"""Requests that come to nothing: they cost the service as much, so they count."""

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.rates.asking import (
    ask_all,
    beyond,
    counted_page,
    in_time,
    served,
    without_message,
)
from securitytests.check import Claim, check
from securitytests.judging import verdict_of

#: How often each kind of failing request is made.
_EACH = 3


@check(
    id="RL7",
    title="Refused and failed requests count",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("CWE-307", "CWE-770"),
    remediation="Count a request when it comes, not when it has succeeded.",
    cost_s=1.5,
    tier="destructive",
)
async def failures_count(bench: Bench) -> None:
    """If only what succeeds is counted, guessing is free.

    From one address come handshakes with a bad token by each way of authenticating, handshakes of
    a foreign Origin, pages that do not exist or may not be seen, messages that are no JSON and
    publications of invalid events; then pages up to the promised number. Exactly that many must
    be served, and the next be refused as `answers.over_limit` says.
    """
    limit, address = int(bench.promised("requests_per_window")), bench.own_address()
    page, started = counted_page(bench), bench.now()
    used = await _bad_handshakes(bench, address)
    used += await _bad_pages(bench, address)
    used += await _bad_messages(bench, address)
    answers = await ask_all(bench, [page] * (limit - used), address)
    refusal = await bench.ask(page, address)
    in_time(bench, started)
    count = served(bench, answers)
    left = limit - used
    bench.judge(verdict_of(count == left, f"{left} pages served", f"{count} served"))
    bench.judge(beyond(bench, refusal, started))


async def _bad_handshakes(bench: Bench, address: str) -> int:
    """Fail to come in; return how many requests that took."""
    counted = bench.promises.counted
    if "handshake" not in counted:
        return 0
    used = 0
    allowed = bench.promises.failed_authentications or _EACH * len(bench.methods)
    for method in bench.methods:
        for _ in range(max(1, min(_EACH, (allowed - 1) // len(bench.methods)))):
            await bench.attempt(bench.mark(), method, source=address)
            used += 1 + (method == "message" and "message" in counted)
    token = await bench.token("publish")
    for origin in bench.target.origins.foreign[:1] * _EACH:
        headers = [("Origin", origin)]
        await bench.attempt(token, without_message(bench), source=address, headers=headers)
        used += 1
    return used


async def _bad_pages(bench: Bench, address: str) -> int:
    if "http" not in bench.promises.counted:
        return 0
    await ask_all(bench, [bench.page_request(f"/{bench.mark()}")] * _EACH, address)
    return _EACH


async def _bad_messages(bench: Bench, address: str) -> int:
    counted, answers = bench.promises.counted, bench.target.answers
    if "message" not in counted:
        return 0
    client = await bench.client("publish", method=without_message(bench), source=address)
    used = int("handshake" in counted)
    malformed, invalid = answers.get("bad_message"), answers.get("bad_event")
    if malformed is not None and malformed.error is not None:
        for _ in range(_EACH):
            await client.peer.send_text("no message")
            await client.peer.until_text(malformed.error, 5)
            used += 1
    if invalid is not None and invalid.error is not None and bench.target.events is not None:
        for _ in range(_EACH):
            event = bench.event(**{bench.target.events.type_field: "no-such-type"})
            await client.send_event(event)
            await client.peer.until_text(invalid.error, 5)
            used += 1
    await client.peer.stream.released()
    return used
