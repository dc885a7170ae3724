"""Whether log and metrics tell of what was refused and whom the service sent away."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable

from monitor.contract.promises import Recorded, Situation
from monitor.contract.target import fill
from monitor.contract.verdicts import Severity, Verdict
from securitytests.bench import Bench
from securitytests.catalogue.rates.asking import ask_all, counted_page, served, without_message
from securitytests.catalogue.rates.quota import largest_batch, publish_until_refused
from securitytests.check import check
from securitytests.judging import Judgement, closed, verdict_of
from securitytests.probe.client import Client, publication
from securitytests.probe.peer import Ending

#: Between two looks into the log, until a line has had the tolerated time to get there.
_LOOK_EVERY_S = 0.05

#: Seconds' worth of the publishing quota that are offered.
_OFFERED_S = 3.0

#: Lifetime of the token that expires.
_TTL_S = 1.0

#: What happened: which of several, and whom the log's line is about.
Happened = AsyncIterator[tuple[str, dict[str, str]]]


@check(
    id="OP1",
    title="Authentication failures, limit hits and evictions are logged and counted",
    claim=None,
    severity=Severity.MEDIUM,
    references=("ASVS-16.3.1", "ASVS-16.3.2", "ASVS-16.3.3", "CWE-778"),
    remediation="Tell log and metrics in the one place every refusal and eviction goes through.",
    cost_s=5.0,
    tier="destructive",
    server="own",
)
async def recorded(bench: Bench) -> None:
    """An attack that nobody is told of goes on until it succeeds.

    Each situation under `records` in the profile is brought about, by each way of authenticating
    where it is a failed authentication, each from an address of its own: bad tokens, one too many
    of them, a forbidden action, one request, one connection, one event too many, an expired and a
    revoked token, missed deadlines. A line of the log must then name that client, or its subject,
    in the declared words, and the declared counter must have risen by at least what was brought
    about. That successes are told, too, is not looked at.
    """
    records = bench.target.records
    if not records:
        bench.not_applicable("the profile has no `records`: it does not say how operators are told")
    before = await _metrics(bench)
    counts: Counter[str] = Counter()

    async def one(situation: Recorded) -> None:
        record = records[situation]
        with bench.variant(situation):
            async for which, who in _WAYS[situation](bench):
                if record.counter is not None:
                    counts[record.counter] += 1
                if record.log is not None:
                    with bench.variant(f"{situation}, {which}" if which else situation):
                        bench.judge(await _told(bench, fill(record.log, who)))

    await asyncio.gather(*map(one, records))
    after = await _metrics(bench)
    for counter, count in counts.items():
        with bench.variant(counter):
            bench.judge(_risen(counter, before, after, count))


async def _metrics(bench: Bench) -> str | None:
    """Return the page of metrics; None where it is not shown."""
    path = bench.target.pages.metrics
    if path is None:
        return None
    token = None if path in bench.target.pages.open else await bench.token("admin")
    answer = await bench.ask(bench.page_request(path, token))
    if answer.status != 200 or answer.response is None:
        return None
    return answer.response.body.decode("utf-8", "replace")


async def _told(bench: Bench, mark: str) -> Judgement:
    """Judge that a line of the log has the mark, as soon as the tolerance allows."""
    deadline = bench.now() + bench.promises.tolerance_s
    while True:
        log = await asyncio.to_thread(bench.server.launch.logged)
        if log is None:
            return Judgement(Verdict.INCONCLUSIVE, "a log to look into", "it cannot be read")
        if mark in log:
            return Judgement(Verdict.PASS, f"a line with {mark!r}", "there is one")
        if bench.now() > deadline:
            return Judgement(Verdict.FAIL, f"a line with {mark!r}", "there is none")
        await asyncio.sleep(_LOOK_EVERY_S)


def _risen(counter: str, before: str | None, after: str | None, least: int) -> Judgement:
    wanted = f"risen by at least {least}"
    if before is None or after is None:
        return Judgement(Verdict.INCONCLUSIVE, wanted, "the page of metrics is not shown")
    rise = _value(counter, after) - _value(counter, before)
    return verdict_of(rise >= least, wanted, f"by {rise:g}")


def _value(counter: str, metrics: str) -> float:
    """Return the number behind a counter; 0 where it is not there: it has counted nothing yet."""
    for line in metrics.splitlines():
        if line.startswith(counter):
            value = line.removeprefix(counter).split()
            return float(value[0]) if value else 0.0
    return 0.0


# How each situation is brought about. What could not be is INCONCLUSIVE: others judge that.


async def _bad_tokens(bench: Bench) -> Happened:
    for method in bench.methods:
        address = bench.own_address()
        attempt = await bench.attempt(bench.mark(), method, source=address)
        _see(bench, "a bad token", not attempt.accepted, attempt)
        yield method, {"client": address}


async def _too_many_failures(bench: Bench) -> Happened:
    limit, address = int(bench.promised("failed_authentications")), bench.own_address()
    for _ in range(limit + 1):
        attempt = await bench.attempt(bench.mark(), bench.methods[0], source=address)
        _see(bench, "a bad token", not attempt.accepted, attempt)
    yield "", {"client": address}


async def _forbidden(bench: Bench) -> Happened:
    address, error = bench.own_address(), bench.answer("forbidden").error
    client = await bench.client("subscribe", source=address)
    await client.peer.send_text(publication(bench.target, bench.event()))
    heard = await client.peer.until_text(error or "", bench.promises.tolerance_s)
    _see(bench, "a subscriber's publication", heard.kind in {"text", "close"}, heard.kind)
    yield "", {"client": address}


async def _over_limit(bench: Bench) -> Happened:
    limit, address = int(bench.promised("requests_per_window")), bench.own_address()
    answers = await ask_all(bench, [counted_page(bench)] * (limit + 1), address)
    count = served(bench, answers)
    _see(bench, f"{limit + 1} requests", count <= limit, f"{count} served")
    yield "", {"client": address}


async def _over_quota(bench: Bench) -> Happened:
    rate, refusal = bench.promised("publish_events_per_s"), bench.answer("over_quota").error
    signed = await bench.signed("publish")
    client = await bench.client("publish", token=signed.token)
    frame, size = largest_batch(bench)
    acknowledged = bench.target.publish.acknowledged
    if refusal is None or acknowledged is None:
        bench.cannot_tell("the profile lacks `answers.over_quota.error` or `publish.acknowledged`")
    taken, refused = await publish_until_refused(
        client, frame, size, int(rate * _OFFERED_S), acknowledged, refusal
    )
    _see(bench, "publishing as fast as can be", refused, f"{taken} events taken")
    yield "", {"client": client.peer.stream.source, "subject": str(signed.claims["sub"])}


async def _too_many_connections(bench: Bench) -> Happened:
    limit, address = int(bench.promised("connections_per_address")), bench.own_address()
    token, method = await bench.token("publish"), without_message(bench)
    for _ in range(limit):
        await bench.client("publish", token=token, source=address, method=method)
    attempt = await bench.attempt(token, method, source=address)
    _see(bench, f"{limit + 1} connections", not attempt.accepted, attempt)
    yield "", {"client": address}


async def _expired(bench: Bench) -> Happened:
    token, expires_at = await bench.short_lived("publish", ttl_s=_TTL_S)
    address = bench.own_address()
    client = await bench.client("publish", token=token, source=address)
    within = expires_at - bench.now() + bench.promised("expiry_deadline_s")
    await _until_closed(bench, client, "expired", within)
    yield "", {"client": address}


async def _revoked(bench: Bench) -> Happened:
    signed, address = await bench.signed("publish"), bench.own_address()
    client = await bench.client("publish", token=signed.token, source=address)
    listening = bench.listen(client, bench.mark())  # the command takes longer than pings wait
    await bench.revoke(signed.token)
    within = bench.promised("revocation_deadline_s") + bench.promises.tolerance_s
    _see_closed(bench, await bench.heard(listening, within), "revoked")
    yield "", {"client": address}


async def _silent_stranger(bench: Bench) -> Happened:
    address = bench.own_address()
    peer = await bench.connect(address)
    await peer.request(bench.handshake_request())
    client = Client(peer, bench.target)
    within = bench.promised("authentication_deadline_s")
    await _until_closed(bench, client, "authentication_deadline", within)
    yield "", {"client": address}


async def _idle(bench: Bench) -> Happened:
    address = bench.own_address()
    client = await bench.client("publish", source=address)
    await _until_closed(bench, client, "idle", bench.promised("idle_timeout_s"))
    yield "", {"client": address}


async def _no_pong(bench: Bench) -> Happened:
    address = bench.own_address()
    client = await bench.client("publish", source=address)
    client.peer.answers_pings = False
    within = bench.promised("ping_interval_s") + bench.promised("ping_answer_deadline_s")
    await _until_closed(bench, client, "ping_deadline", within)
    yield "", {"client": address}


_WAYS: dict[Recorded, Callable[[Bench], Happened]] = {
    "unauthenticated": _bad_tokens,
    "too_many_failures": _too_many_failures,
    "forbidden": _forbidden,
    "over_limit": _over_limit,
    "over_quota": _over_quota,
    "too_many_connections": _too_many_connections,
    "expired": _expired,
    "revoked": _revoked,
    "authentication_deadline": _silent_stranger,
    "idle": _idle,
    "ping_deadline": _no_pong,
}


async def _until_closed(bench: Bench, client: Client, situation: Situation, within: float) -> None:
    ending = await client.peer.until_end(within + 2 * bench.promises.tolerance_s)
    _see_closed(bench, ending, situation)


def _see_closed(bench: Bench, ending: Ending, situation: Situation) -> None:
    judgement = closed(ending, bench.answer(situation))
    _see(bench, judgement.expected, judgement.verdict is Verdict.PASS, ending)


def _see(bench: Bench, what: str, refused: bool, seen: object) -> None:
    """See that what is to be told of did happen.

    Raises:
        CannotTellError: it did not.
    """
    if not refused:
        bench.cannot_tell(f"{what}: not refused, so there is nothing to be told of: {seen}")
