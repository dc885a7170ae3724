"""Planted secrets: texts of the shape of a secret that exist nowhere else."""

import asyncio
import secrets

from monitor.contract.verdicts import Severity, Verdict
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import Judgement, verdict_of
from securitytests.probe import jws
from securitytests.probe.client import Client


def planted() -> dict[str, tuple[str, str]]:
    """Return, by kind, a sentence with a secret in it and the part that must not get out."""
    word = secrets.token_hex(8)
    token = jws.sign({"alg": "HS256"}, {"sub": word}, word.encode())
    key = "AKIA" + secrets.token_hex(8).upper()
    return {
        "token": (f"retried with {token}", token),
        "access key": (f"upload with {key} failed", key),
        "password": (f"no route to postgres://writer:{word}@db.internal/book", word),
        "named password": (f"login failed: password={word[::-1]}", word[::-1]),
        "e-mail address": (f"no such reader: {word}@mail.example", f"{word}@mail.example"),
        "home folder": (f"cannot open /home/{word}/notes.md", f"/home/{word}"),
    }


@check(
    id="LK1",
    title="Planted secrets reach no stream, log, metric or error",
    claim=Claim.NO_LEAKS,
    severity=Severity.HIGH,
    references=("ASVS-14.2.6", "ASVS-16.2.5", "CWE-200", "CWE-532"),
    remediation="Redact free text once, where events are accepted, before anything stores them.",
    cost_s=1.5,
    tier="gentle",
)
async def planted_secrets(bench: Bench) -> None:
    """Programs put into messages what they hold: an exception quotes a connection string.

    A publisher puts a made-up token, key, password, e-mail address and home folder into a text
    field of an event. None may be found in what a subscriber receives, in what the publisher is
    answered, in the log, or on the pages of metrics and state. Refusing the event is as good.
    """
    if bench.target.events is None or not bench.target.events.text_fields:
        bench.cannot_tell("the profile has no `events.text_fields`; name the fields of free text")
    subscriber, publisher = await bench.client(), await bench.client("publish")
    texts = planted()
    for sentence, _ in texts.values():
        await publisher.send_event(bench.event(**{text_field(bench): sentence}))
    heard = await heard_by_both(bench, subscriber, publisher)
    places = {**heard, **await pages_of(bench), "log": await log_of(bench)}
    for kind, (_, secret) in texts.items():
        for place, content in places.items():
            with bench.variant(f"{kind}, {place}"):
                bench.judge(absent(secret, content))


def text_field(bench: Bench) -> str:
    """Return a field of free text, one that the example event has if there is one."""
    assert bench.target.events is not None  # noqa: S101 - the caller looked
    fields = bench.target.events.text_fields
    return next((name for name in fields if name in bench.event()), fields[0])


async def heard_by_both(bench: Bench, subscriber: Client, publisher: Client) -> dict[str, str]:
    """Return all that was said to either, until an event published last has arrived."""
    last = bench.mark()
    await publisher.send_event(bench.event(last))
    stream, answers = await asyncio.gather(
        subscriber.peer.until_end(5, stop_at=last), publisher.peer.until_end(0.3)
    )
    if not any(last in text for text in stream.texts):
        bench.cannot_tell("the event published last did not arrive")
    return {"stream": "\n".join(stream.texts), "answers": "\n".join(answers.texts)}


async def pages_of(bench: Bench) -> dict[str, str | None]:
    """Return what the pages of metrics and state say; None where one does not answer."""
    found: dict[str, str | None] = {}
    token = await bench.token("admin")
    for name in ("metrics", "state"):
        path = getattr(bench.target.pages, name)
        if path is not None:
            answer = await bench.ask(bench.page_request(path, token))
            body = answer.response.body.decode("utf-8", "replace") if answer.response else None
            found[name] = body if answer.status == 200 else None
    return found


async def log_of(bench: Bench) -> str | None:
    """Return the service's log; None where it cannot be read."""
    return await asyncio.to_thread(bench.server.launch.logged)


def absent(secret: str, content: str | None) -> Judgement:
    """Judge that a secret does not stand in what was said somewhere."""
    if content is None:
        return Judgement(Verdict.INCONCLUSIVE, "something to look through", "it cannot be read")
    return verdict_of(
        secret not in content, "not to be found", "found" if secret in content else "not found"
    )
