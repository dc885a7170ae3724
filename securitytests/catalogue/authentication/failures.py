"""What failed authentications tell, and how many there may be."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Collection, Iterable

from monitor.contract.profile import Method
from monitor.contract.promises import Answer, Situation
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.authentication.presenting import good_token
from securitytests.check import Claim, check
from securitytests.judging import Attempt, answered, refused, verdict_of
from securitytests.probe import jws
from securitytests.probe.client import NotServedError

#: How long a revocation is waited for once its command is done.
_FELT_S = 10.0

#: Headers that differ between any two answers, whatever was refused.
_ALWAYS_DIFFERENT = frozenset({"date"})


@check(
    id="AU8",
    title="Failed authentications look alike",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.MEDIUM,
    references=("CWE-204",),
    remediation="Answer every failed authentication with one text; keep the reason for the log.",
    cost_s=1.0,
    tier="gentle",
)
async def indistinguishable_failures(bench: Bench) -> None:
    """An answer that says how far a forged token came tells what to try next.

    By each way of authenticating, and from an allowed page, tokens are shown that fail at
    different points: no token at all, another key, a changed claim, another audience; expired and
    revoked ones too, where the profile has the same answer for them. Status, reason, headers and
    size of the answer, or close code, reason and sizes of the messages, must be those of a random
    text.
    """
    bad = {name: token async for name, token in _different_failures(bench)}
    with bench.variant("a revoked token"):
        if bench.target.commands.revoke is not None and bench.server.tokens.can_sign:
            revoked = bench.target.answers.get("revoked")
            if revoked is not None and _within(revoked, bench.answer("unauthenticated")):
                bad["revoked"] = await _revoked(bench, revoked.close)
    allowed = bench.target.origins.allowed

    async def one(method: Method, origin: str | None) -> None:
        headers = [] if origin is None else [("Origin", origin)]
        way = method if origin is None else f"{method} of a page"
        first = ""
        for name, token in bad.items():
            with bench.variant(f"{way}, {name}"):
                attempt = await bench.attempt(token, method, headers=headers)
                seen = "accepted" if attempt.accepted else _appearance(attempt)
                first = first or seen
                alike = seen == first and not attempt.accepted
                bench.judge(verdict_of(alike, f"as for a random text: {first}", seen))

    origins = [None, *(each.replace("{own}", bench.own_origin()) for each in allowed[:1])]
    await asyncio.gather(*(one(method, each) for method in bench.methods for each in origins))


async def _different_failures(bench: Bench) -> AsyncIterator[tuple[str, str]]:
    """Yield bad tokens, each of which fails at another point of its verification."""
    good = await good_token(bench)
    yield "random text", secrets.token_urlsafe(30)
    yield "a good one cut by one", good[:-1]
    yield "a good one with an end of its own", f"{good[:-12]}{secrets.token_urlsafe(9)}"
    if not bench.server.tokens.can_sign:
        return
    key, signed = await bench.server.tokens.key(), await bench.signed()
    header, claims = signed.header, signed.claims
    wrong_key = secrets.token_bytes(len(key.secret))
    yield "another key", jws.sign(header, claims, wrong_key, key.algorithm)
    yield "no signature", jws.sign({**header, "alg": "none"}, claims, b"", "none")
    for name, more in (("aud", "someone-else"), ("iss", "someone-else"), ("sub", "")):
        if name in claims:
            yield (
                f"another {name}",
                jws.sign(header, {**claims, name: more}, key.secret, key.algorithm),
            )
    if "kid" in header:
        unknown = {**header, "kid": "unknown"}
        yield "an unknown key id", jws.sign(unknown, claims, key.secret, key.algorithm)
    if _within(bench.target.answers.get("expired"), bench.answer("unauthenticated")):
        yield "expired", (await bench.signed(ttl_s=-3_600, issued_s_ago=7_200)).token


def _within(answer: Answer | None, other: Answer) -> bool:
    """Tell whether everything one answer may be the other may be, too."""
    return (
        answer is not None
        and set(answer.status) <= set(other.status)
        and set(answer.close) <= set(other.close)
    )


async def _revoked(bench: Bench, closes: Collection[int]) -> str:
    """Return a token whose revocation has been felt; whether in time, others judge."""
    token = (await bench.signed("publish")).token
    await bench.revoke(token)
    try:
        client = await bench.client("publish", token=token)
    except NotServedError:
        return token
    ending = await client.peer.until_end(_FELT_S)
    if ending.code not in closes:
        bench.cannot_tell(f"a connection whose token was revoked: {ending}")
    return token


def _appearance(attempt: Attempt) -> str:
    """Return all of an answer that a client can see and that says something."""
    response, ending = attempt.handshake.response, attempt.ending
    if ending is not None:
        sizes = ", ".join(str(len(text)) for text in attempt.texts)
        code = ending.kind if ending.code is None else f"close {ending.code}"
        return f"{code} ({ending.reason}), messages of {sizes or 'no'} characters"
    if response is None:
        return attempt.handshake.instead
    names = sorted({name.lower() for name, _ in response.headers} - _ALWAYS_DIFFERENT)
    return f"{attempt.handshake}, body of {len(response.body)} bytes, headers {', '.join(names)}"


@check(
    id="AU9",
    title="Repeated failures are throttled",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.HIGH,
    references=("CWE-307",),
    remediation="Count failures by address in one place that every way of authenticating leads to.",
    cost_s=1.5,
    tier="destructive",
)
async def throttled_failures(bench: Bench) -> None:
    """Whoever may fail without end may guess without end.

    From one address for each way of authenticating, one for pages, and one that takes turns, as
    many bad tokens are shown as `promises.failed_authentications` allows: each must be refused as
    `answers.unauthenticated` says, the next one as `answers.too_many_failures`. Meanwhile a good
    token from another address must be accepted.
    """
    limit = int(bench.promised("failed_authentications"))
    requests = bench.promises.requests_per_window
    if requests is not None and requests < 2 * (limit + 1):
        bench.cannot_tell("the request window is used up before the failures are")
    await good_token(bench)
    ways: dict[str, list[Method]] = {method: [method] for method in bench.methods}
    if len(bench.methods) > 1:
        ways["in turn"] = list(bench.methods)
    async with asyncio.TaskGroup() as group:
        for name, methods in ways.items():
            group.create_task(_until_throttled(bench, name, methods, limit))
        group.create_task(_pages_until_throttled(bench, limit))
    with bench.variant("another address"):
        attempt = await bench.attempt(await bench.token(), bench.methods[0])
        bench.judge(verdict_of(attempt.accepted, "accepted", str(attempt)))


async def _until_throttled(bench: Bench, name: str, methods: Iterable[Method], limit: int) -> None:
    turn, source = list(methods), bench.own_address()
    for number in range(limit + 1):
        situation: Situation = "unauthenticated" if number < limit else "too_many_failures"
        with bench.variant(f"{name}, failure {number + 1} of {limit}"):
            attempt = await bench.attempt(
                secrets.token_urlsafe(30), turn[number % len(turn)], source=source
            )
            bench.judge(refused(attempt, bench.answer(situation)))


async def _pages_until_throttled(bench: Bench, limit: int) -> None:
    path = bench.target.pages.metrics
    if path is None or path in bench.target.pages.open:
        return
    source = bench.own_address()
    for number in range(limit + 1):
        situation: Situation = "unauthenticated" if number < limit else "too_many_failures"
        with bench.variant(f"{path}, failure {number + 1} of {limit}"):
            request = bench.page_request(path, secrets.token_urlsafe(30))
            answer = await bench.ask(request, source)
            bench.judge(answered(answer, bench.answer(situation).status))
