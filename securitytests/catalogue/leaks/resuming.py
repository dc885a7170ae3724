"""Coming back for what was missed: with the rights and the filter of now, not of then."""

import re
from collections.abc import AsyncIterator, Collection, Mapping
from typing import NamedTuple

from monitor.contract.profile import Resume, TokenKind
from monitor.contract.promises import Answer
from monitor.contract.target import fill
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import Judgement, spell, verdict_of
from securitytests.probe.client import Client, NotServedError
from securitytests.probe.peer import Ending

#: How long a service may take to answer a message.
_PROMPTLY_S = 3.0

#: How long an event that was acknowledged may take to one that must not have it.
_GRACE_S = 0.3

#: Events of the one value that can be resumed.
_EVENTS = 3

#: Who has shown no token at all.
_NOBODY = "who has not authenticated"

#: The place a client was told of.
_TRUE_PLACE = "from the true place"

#: Offsets nobody was told of: before all, below zero, behind all, beyond every number.
_OFFSETS = ("0", "-1", "9007199254740991", "18446744073709551616")


class _Past(NamedTuple):
    """A place in the stream, and what was published behind it.

    `inside` identifies the events whose filtered field is `value`; `outside` are the identifiers
    and the values of the others.
    """

    place: Mapping[str, str]
    value: str
    inside: tuple[str, ...]
    outside: tuple[str, ...]


@check(
    id="LK6",
    title="Resuming yields nothing that the scope or the filter would not",
    claim=Claim.NO_LEAKS,
    severity=Severity.HIGH,
    references=("ASVS-8.2.2", "CWE-863"),
    remediation="Send resumed events through the same scope and filter as live ones.",
    cost_s=2.5,
    tier="gentle",
)
async def resumed_rights(bench: Bench) -> None:
    """What was stored before is often served by other code than what happens now.

    Events of one value and of others are published behind a place in the stream. Clients resume
    from there who have not authenticated, may only publish, are of another scope, or have given
    up their right to subscribe by authenticating again: each must be refused as
    `answers.unauthenticated` or `forbidden` says, and receive no event. Subscribers resume with a
    filter for the one value, from the true place, of an unknown epoch, and from offsets nobody was
    told of: no event of another value may come, missed, live or as a state; from the true place
    all of the one value must.
    """
    resume = bench.target.resume
    if resume is None:
        bench.cannot_tell("the profile has no `resume`; state how one resumes, or decline")
    for kind in ("subscribe", "publish", *_other_kinds(bench)):
        await bench.token(kind)  # before anyone connects: commands take their time
    past = await _past(bench, resume)
    async for name, client, expected in _strangers(bench):
        with bench.variant(name):
            await client.peer.send_text(fill(resume.message, past.place))
            ending = await client.peer.until_end(_PROMPTLY_S, stop_at=expected.error)
            bench.judge(_refused(ending, expected))
            live = await _published(bench, past.value)
            later = await client.peer.until_end(_GRACE_S)
            events = (*past.inside, *past.outside, live)
            bench.judge(_without(events, (*ending.texts, *later.texts), "no event"))
    if resume.filtered is None:
        return
    for name, place in _places(past.place).items():
        with bench.variant(f"a filter, {name}"):
            message = fill(resume.filtered, {**place, "value": past.value})
            heard = await _heard_by_one_who_resumes(bench, message, past.value)
            wanted = f"no event but of {past.value}"
            bench.judge(_without(past.outside, heard, wanted))
            if name == _TRUE_PLACE:
                missing = [mark for mark in past.inside if not _stands(mark, heard)]
                told = f"{len(missing)} missing"
                bench.judge(verdict_of(not missing, f"all {_EVENTS} of {past.value}", told))


async def _past(bench: Bench, resume: Resume) -> _Past:
    """Note where the stream is, and publish what may be resumed from there."""
    ask, value = bench.target.subscribe, bench.mark()
    if ask.filter_field is None or ask.filtered is None or ask.accepted is None:
        bench.cannot_tell("the profile lacks `subscribe.filtered`, `filter_field` or `accepted`")
    reader = await bench.client()
    answer = await reader.subscribe(_PROMPTLY_S, fill(ask.filtered, {"value": value}))
    told = "" if answer is None else answer.text
    reader.peer.stream.close()
    epoch = "" if resume.epoch_field is None else _field(bench, told, resume.epoch_field)
    place = {"epoch": epoch, "offset": _field(bench, told, resume.offset_field)}
    inside = [await _published(bench, value) for _ in range(_EVENTS)]
    others = (f"{value}0", f"x{value}", bench.mark())
    outside = [await _published(bench, other) for other in others]
    return _Past(place, value, tuple(inside), (*others, *outside))


def _field(bench: Bench, text: str, name: str) -> str:
    """Return the value a JSON text has under a name, as text."""
    found = re.search(rf'"{re.escape(name)}"\s*:\s*"?([^",}}\]]+)', text)
    if found is None:
        bench.cannot_tell(f"the answer to a subscription has no `{name}`: {text[:200]}")
    return found[1].strip()


async def _published(bench: Bench, value: str) -> str:
    """Publish one event with this value in the filter's field; return its identifier."""
    mark, field = bench.mark(), bench.target.subscribe.filter_field or ""
    publisher = await bench.client("publish")
    await publisher.publish(bench.event(mark, **{field: value}), _PROMPTLY_S)
    publisher.peer.stream.close()
    return mark


async def _strangers(bench: Bench) -> AsyncIterator[tuple[str, Client, Answer]]:
    """Yield clients who may not subscribe, each with how it must be refused."""
    forbidden = bench.answer("forbidden")
    if "message" in bench.methods:
        peer = await bench.connect()
        await peer.request(bench.handshake_request())
        yield _NOBODY, Client(peer, bench.target), bench.answer("unauthenticated")
    kinds: tuple[TokenKind, ...] = ("publish", *_other_kinds(bench))
    for kind in kinds:
        token = await bench.token(kind)
        yield f"a token of kind {kind}", await _silent(bench, token), forbidden
    renewal = bench.target.authentication.message
    if bench.target.authentication.again != "renews" or renewal is None:
        return
    with bench.variant("a right given up"):
        before = await bench.signed("subscribe")
        after = await bench.signed("publish", subject=str(before.claims["sub"]))
        client = await _silent(bench, before.token)
        await client.authenticate(fill(renewal, {"token": after.token}), _PROMPTLY_S)
        yield "a right given up", client, forbidden


def _other_kinds(bench: Bench) -> tuple[TokenKind, ...]:
    """Return the kind of token that allows nothing of events, where the profile has it."""
    return ("other_scope",) if "other_scope" in bench.target.tokens else ()


async def _silent(bench: Bench, token: str | None) -> Client:
    """Return a client that is authenticated and, where the service lets it, not subscribed."""
    credentials = bench.credentials(token)
    query = bench.target.subscribe.silent_query or ""
    peer = await bench.connect()
    handshake = await peer.request(bench.handshake_request(credentials, query=query))
    if not handshake.upgraded:
        raise NotServedError(f"handshake: expected HTTP 101, got {handshake}")
    client = Client(peer, bench.target)
    await client.authenticate(credentials.message, _PROMPTLY_S)
    return client


def _places(place: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    """Return places to resume from: the true one, and those nobody was told of."""
    unknown = {f"from offset {offset}": {**place, "offset": offset} for offset in _OFFSETS}
    other = {"of an unknown epoch": {**place, "epoch": "unknown"}} if place["epoch"] else {}
    return {_TRUE_PLACE: place, **other, **unknown}


async def _heard_by_one_who_resumes(bench: Bench, message: str, value: str) -> tuple[str, ...]:
    """Resume with a filter; return all that comes, until an event published last has or might."""
    client = await _silent(bench, await bench.token())
    await client.peer.send_text(message)
    answer = await client.peer.until_text("", _PROMPTLY_S)
    await _published(bench, f"{value}0")
    last = await _published(bench, value)
    heard = await client.peer.until_end(_GRACE_S, stop_at=f'"{last}"')
    return (answer.text, *heard.texts)


def _refused(ending: Ending, expected: Answer) -> Judgement:
    by_code = ending.kind == "close" and ending.code in expected.close
    by_word = expected.error is not None and any(expected.error in one for one in ending.texts)
    return verdict_of(by_code or by_word, f"refused with {spell(expected)}", str(ending))


def _without(marks: Collection[str], texts: Collection[str], wanted: str) -> Judgement:
    found = [mark for mark in marks if _stands(mark, texts)]
    return verdict_of(not found, wanted, f"{', '.join(found)} came" if found else "none came")


def _stands(mark: str, texts: Collection[str]) -> bool:
    return any(f'"{mark}"' in text for text in texts)
