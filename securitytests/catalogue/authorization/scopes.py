"""Actions that a token's scope does not cover."""

import asyncio

from monitor.contract.profile import Method, TokenKind
from monitor.contract.promises import Answer
from monitor.contract.target import fill
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import Judgement, answered, spell, verdict_of
from securitytests.probe.client import Client, publication
from securitytests.probe.peer import Ending

#: How long a service may take to answer a message.
_PROMPTLY_S = 3.0

#: How long an event that reached the honest subscriber may take to one that must not have it.
_GRACE_S = 0.3

#: Values of a filter that may be taken for "everything".
WILDCARDS = ("*", "**", "#", "%", ".*", ">", "_", "../")


@check(
    id="AZ1",
    title="Each action needs its scope",
    claim=Claim.REVALIDATION,
    severity=Severity.HIGH,
    references=("ASVS-8.2.1", "CWE-862"),
    remediation="Look up the scope an action needs where the action begins, whoever asks for it.",
    cost_s=1.5,
    tier="gentle",
)
async def action_needs_scope(bench: Bench) -> None:
    """A token for watching that can also publish makes every viewer an author.

    By each way of authenticating, a subscriber's and another scope's token publish, a publisher's
    and another scope's subscribe, and the pages of metrics and state are asked for with both. Each
    must be refused as `answers.forbidden` says, nothing be delivered; with the right token each
    must be allowed.
    """
    expected = bench.answer("forbidden")
    for kind in ("subscribe", "publish", "other_scope", "admin"):
        if kind in bench.target.tokens:
            await bench.token(kind)  # before anyone connects: commands take their time
    last = bench.mark()
    listening = bench.listen(await bench.client(), f'"{last}"')
    marks: dict[str, str] = {}
    silent: list[tuple[str, Client]] = []
    for method in bench.methods:
        for kind in _kinds(bench, "publish"):
            with bench.variant(f"{method}, {kind} token publishes"):
                mark = marks[f"{method}, {kind}"] = bench.mark()
                text = publication(bench.target, bench.event(mark))
                _, judgement = await _try(bench, kind, method, text, expected)
                bench.judge(judgement)
        for kind in _kinds(bench, "subscribe"):
            with bench.variant(f"{method}, {kind} token subscribes"):
                client, judgement = await _try(bench, kind, method, _subscription(bench), expected)
                bench.judge(judgement)
                silent += [(f"{method}, {kind}", client)] if client is not None else []
    with bench.variant("deliveries"):
        await _judge_deliveries(bench, listening, last, marks, silent)
    await _pages(bench, expected)


def _kinds(bench: Bench, lacking: TokenKind) -> list[TokenKind]:
    """Return the kinds of token to try that must not allow `lacking`."""
    kinds: list[TokenKind] = ["publish" if lacking == "subscribe" else "subscribe"]
    if "other_scope" in bench.target.tokens:
        kinds.append("other_scope")
    return kinds


def _subscription(bench: Bench, value: str | None = None) -> str:
    """Return a message that subscribes: to everything, or to one value of the filter.

    Raises:
        CannotTellError: the profile has none.
    """
    ask = bench.target.subscribe
    if value is None and ask.message is not None:
        return ask.message
    if ask.filtered is None:
        bench.cannot_tell("the profile has neither `subscribe.message` nor `subscribe.filtered`")
    return fill(ask.filtered, {"value": value or _own_value(bench)})


def _own_value(bench: Bench) -> str:
    """Return the value that the filter's field has in the example event."""
    return str(bench.event().get(bench.target.subscribe.filter_field or "", "writer"))


async def _try(
    bench: Bench, kind: TokenKind, method: Method, text: str, expected: Answer
) -> tuple[Client | None, Judgement]:
    """Come in with a token and say one message; judge whether it is refused as forbidden."""
    wanted = f"refused with {spell(expected)}"
    token = await bench.token(kind)
    attempt = await bench.attempt(token, method)
    if attempt.ending is None:
        return None, answered(attempt.handshake, expected.status)
    credentials = bench.credentials(token, method)
    peer = await bench.connect()
    await peer.request(bench.handshake_request(credentials))
    client = Client(peer, bench.target)
    await client.authenticate(credentials.message, _PROMPTLY_S)
    await peer.send_text(text)
    ending = await peer.until_end(_PROMPTLY_S, stop_at=expected.error or "")
    return client, verdict_of(_forbidden(ending, expected), wanted, str(ending))


def _forbidden(ending: Ending, expected: Answer) -> bool:
    if ending.kind == "close" and ending.code in expected.close:
        return True
    return expected.error is not None and any(expected.error in text for text in ending.texts)


async def _judge_deliveries(
    bench: Bench,
    listening: "asyncio.Task[Ending]",
    last: str,
    marks: dict[str, str],
    silent: list[tuple[str, Client]],
) -> None:
    """Publish as one who may: the subscriber alone hears it, and nothing of the others."""
    publisher = await bench.client("publish")
    await publisher.publish(bench.event(last), 5)
    heard = await bench.heard(listening)
    arrived = [
        who for who, mark in marks.items() if any(f'"{mark}"' in text for text in heard.texts)
    ]
    bench.judge(
        verdict_of(any(last in text for text in heard.texts), "the good event arrives", str(heard)),
        verdict_of(not arrived, "no other does", ", ".join(arrived) or "none did"),
    )
    endings = await asyncio.gather(*(one.peer.until_end(_GRACE_S) for _, one in silent))
    for (who, _), ending in zip(silent, endings, strict=True):
        leaked = any(last in text for text in ending.texts)
        bench.judge(verdict_of(not leaked, f"{who} receives nothing", "an event" * leaked))


async def _pages(bench: Bench, expected: Answer) -> None:
    pages = bench.target.pages
    for path in (pages.metrics, pages.state):
        if path is None or path in pages.open:
            continue
        with bench.variant(f"{path}, the right token"):
            answer = await bench.ask(bench.page_request(path, await bench.token("admin")))
            bench.judge(answered(answer, (200,)))
        for kind in ("subscribe", "publish"):
            with bench.variant(f"{path}, {kind} token"):
                answer = await bench.ask(bench.page_request(path, await bench.token(kind)))
                bench.judge(answered(answer, expected.status))


@check(
    id="AZ2",
    title="A filter reaches nothing outside the scope, and nothing outside itself",
    claim=Claim.REVALIDATION,
    severity=Severity.HIGH,
    references=("CWE-639", "ASVS-8.2.2"),
    remediation="Check the scope before the filter is read; compare values whole, not as patterns.",
    cost_s=1.5,
    tier="gentle",
)
async def filters_stay_inside(bench: Bench) -> None:
    """A filter is words of the client's: it may narrow what it is given, and nothing else.

    A publisher's token subscribes with the filter set to wildcards of several languages and to a
    value that exists: each must be refused as `answers.forbidden` says, and no event arrive. A
    subscriber that filters for one value must receive the events of that value, and none whose
    value merely begins like it or contains it.
    """
    expected = bench.answer("forbidden")
    intruders: list[tuple[str, Client]] = []
    for value in (*WILDCARDS, _own_value(bench)):
        with bench.variant(f"no scope, filter {value}"):
            text = _subscription(bench, value)
            client, judgement = await _try(bench, "publish", bench.methods[0], text, expected)
            bench.judge(judgement)
            intruders += [(value, client)] if client is not None else []
    with bench.variant("deliveries"):
        last = bench.mark()
        listening = bench.listen(await bench.client(), f'"{last}"')
        await _judge_deliveries(bench, listening, last, {}, intruders)
    with bench.variant("a value of its own"):
        await _exact_filter(bench)


async def _exact_filter(bench: Bench) -> None:
    field = bench.target.subscribe.filter_field
    if field is None:
        bench.cannot_tell("the profile has no `subscribe.filter_field`")
    value = bench.mark()
    client = await bench.client()
    await client.subscribe(_PROMPTLY_S, _subscription(bench, value))
    publisher = await bench.client("publish")
    foreign = {}
    for other in (f"{value}0", f"x{value}", value[:-1], value.upper(), _own_value(bench)):
        mark = bench.mark()
        foreign[mark] = other
        await publisher.publish(bench.event(mark, **{str(field): other}), 5)
    last = bench.mark()
    await publisher.publish(bench.event(last, **{str(field): value}), 5)
    heard = await client.peer.until_end(5, stop_at=f'"{last}"')
    stray = [other for mark, other in foreign.items() if _stands(mark, heard)]
    bench.judge(
        verdict_of(_stands(last, heard), f"an event of {value} arrives", str(heard)),
        verdict_of(not stray, "no other", ", ".join(stray) or "none did"),
    )


def _stands(mark: str, heard: Ending) -> bool:
    return any(f'"{mark}"' in text for text in heard.texts)
