"""What comes before authentication, and what a second one may do."""

import asyncio
import json
import secrets

from monitor.contract.profile import Method
from monitor.contract.target import fill
from monitor.contract.verdicts import Severity
from securitytests.bench import UNMARKED_S, Bench
from securitytests.catalogue.authentication.presenting import WAITING_S
from securitytests.check import Claim, check
from securitytests.judging import Judgement, closed, verdict_of
from securitytests.probe.client import publication
from securitytests.probe.frames import encode_frame
from securitytests.probe.peer import Ending
from securitytests.probe.stream import PATIENCE_S


@check(
    id="AU6",
    title="Nothing is handled or delivered before authentication",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.CRITICAL,
    references=("CWE-306",),
    remediation="Until someone is authenticated, read nothing but authentication messages.",
    cost_s=1.5,
    tier="gentle",
)
async def before_authentication(bench: Bench) -> None:
    """What is asked before authentication, or in its shadow, is asked by nobody.

    A publication, a subscription, a resumption and an application ping are sent without
    credentials: alone, before a bad authentication and behind one, each in the same write as the
    handshake. None may be answered, and no event may be delivered, while an honest publisher and
    an honest subscriber prove that the service works; the subscriber may see none of the
    publications.
    """
    subscriber = await bench.client("subscribe")
    identifier, served, fence = bench.mark(), bench.mark(), bench.mark()
    asked = _asked(bench, publication(bench.target, bench.event(identifier)))
    bad = None
    if bench.target.authentication.message is not None:
        bad = fill(bench.target.authentication.message, {"token": secrets.token_urlsafe(30)})
    orders: dict[str, tuple[str, ...]] = {}
    for name, message in asked.items():
        orders[f"{name} alone"] = (message,)
        if bad is not None:
            orders[f"{name}, then bad authentication"] = (message, bad)
            orders[f"bad authentication, then {name}"] = (bad, message)
    listening = asyncio.create_task(subscriber.peer.until_end(3 * PATIENCE_S, stop_at=fence))
    heard = asyncio.gather(*(_heard(bench, order) for order in orders.values()))
    await _publish(bench, served)
    answers = await heard
    await _publish(bench, fence)
    stream = await listening
    for name, texts in zip(orders, answers, strict=True):
        with bench.variant(name):
            bench.judge(_unanswered(bench, texts, (identifier, served)))
    with bench.variant("the honest subscriber"):
        if not any(fence in text for text in stream.texts):
            bench.cannot_tell("the event published last did not arrive")
        stored = any(identifier in text for text in stream.texts)
        bench.judge(
            verdict_of(not stored, "no publication of nobody's", "one" if stored else "none")
        )


async def _publish(bench: Bench, identifier: str) -> None:
    """Publish an event as an honest client that has just come: an idle one might be closed."""
    publisher = await bench.client("publish")
    await publisher.publish(bench.event(identifier), PATIENCE_S)


def _asked(bench: Bench, publishing: str) -> dict[str, str]:
    """Return what a client may ask for, by name."""
    target = bench.target
    asked = {"publication": publishing}
    if target.subscribe.message is not None:
        asked["subscription"] = target.subscribe.message
    elif target.subscribe.filtered is not None:
        asked["subscription"] = fill(target.subscribe.filtered, {"value": "writer"})
    if target.resume is not None:
        asked["resumption"] = fill(target.resume.message, {"epoch": "audit", "offset": "0"})
    if target.keepalive is not None:
        asked["ping"] = target.keepalive.message
    return asked


async def _heard(bench: Bench, messages: tuple[str, ...]) -> tuple[str, ...]:
    """Say all of it behind a handshake without credentials, in one write; return what came."""
    peer = await bench.connect()
    frames = b"".join(encode_frame(message.encode()) for message in messages)
    handshake = bench.handshake_request().encode()
    await peer.send(handshake + frames, f"handshake, then {' | '.join(messages)}")
    if not (await peer.answer()).upgraded:
        return ()
    return (await peer.until_end(WAITING_S)).texts


def _unanswered(bench: Bench, texts: tuple[str, ...], events: tuple[str, ...]) -> Judgement:
    """Judge that nothing asked was done: no mark of success, no event."""
    target = bench.target
    marks = {
        "authenticated": target.authentication.accepted,
        "stored": target.publish.acknowledged,
        "subscribed": target.subscribe.accepted,
        "answered": None if target.keepalive is None else target.keepalive.answer,
        "resumed": None if target.resume is None else target.resume.recovered,
    }
    done = [
        name for name, mark in marks.items() if mark and any(mark in text for text in texts)
    ] + ["delivered" for event in events if any(event in text for text in texts)]
    return verdict_of(not done, "nothing done", ", ".join(done) or f"{len(texts)} other messages")


@check(
    id="AU7",
    title="A second authentication cannot change who one is",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.HIGH,
    references=("CWE-384",),
    remediation="Bind a connection to its first subject; compare subjects exactly.",
    cost_s=0.8,
    tier="gentle",
)
async def second_authentication(bench: Bench) -> None:
    """What a connection holds, quotas, filters and logs, was given to whom it began as.

    A subscriber authenticated by each of the ways sends an authentication message with a good
    token of somebody else who may publish: of another name, of a name that begins as his own, of
    his own name in another case. It must be closed as `answers.other_subject` says and not be told
    that it succeeded. A fresh token of the same subject has the effect `authentication.again`
    promises.
    """
    if bench.target.authentication.message is None:
        bench.cannot_tell("the profile has no `authentication.message` to authenticate again with")
    await asyncio.gather(*(_again(bench, method) for method in bench.methods))


async def _again(bench: Bench, method: Method) -> None:
    name = f"audit-{secrets.token_hex(4)}-a"
    others = {"another name": f"audit-{secrets.token_hex(4)}-b"}
    if bench.server.tokens.can_sign:
        others["a longer name"] = f"{name}b"
        others["a shorter name"] = name[:-1]
        others["the name in another case"] = name.upper()
    for variant, other in others.items():
        with bench.variant(f"{method}, {variant}"):
            if bench.server.tokens.can_sign:
                token = (await bench.signed("publish", subject=other)).token
                ending, accepted = await _told(bench, method, name, token)
            else:
                ending, accepted = await _told(
                    bench, method, None, await bench.token("other_subject") or ""
                )
            bench.judge(
                verdict_of(not accepted, "not taken for somebody else", "taken for him"),
                closed(ending, bench.answer("other_subject")),
            )
    promised = bench.target.authentication.again
    if promised is None or not bench.server.tokens.can_sign:
        return
    with bench.variant(f"{method}, the same subject"):
        fresh = (await bench.signed("subscribe", subject=name)).token
        ending, accepted = await _told(bench, method, name, fresh)
        bench.judge(
            verdict_of(
                accepted == (promised == "renews"),
                f"as `authentication.again` says: {promised}",
                "renewed" if accepted else str(ending),
            )
        )


async def _told(
    bench: Bench, method: Method, subject: str | None, token: str
) -> tuple[Ending, bool]:
    """Authenticate as `subject`, then with `token`; return the ending and whether it was taken."""
    own = None if subject is None else (await bench.signed("subscribe", subject=subject)).token
    client = await bench.client("subscribe", token=own, method=method)
    spelled = bench.target.authentication
    await client.peer.send_text(fill(spelled.message or "", {"token": json.dumps(token)[1:-1]}))
    patience = PATIENCE_S if spelled.accepted else UNMARKED_S
    ending = await client.peer.until_end(patience, stop_at=spelled.accepted)
    mark = spelled.accepted
    taken = any(mark in text for text in ending.texts) if mark else not ending.ended
    client.peer.stream.close()
    return ending, taken
