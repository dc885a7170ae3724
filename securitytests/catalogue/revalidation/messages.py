"""Tokens that stand in a message of a connection that is authenticated already."""

import json
from collections.abc import Mapping

from monitor.contract.profile import Method
from monitor.contract.promises import Situation
from monitor.contract.target import fill
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import Attempt, Judgement, refused, verdict_of
from securitytests.probe import jws
from securitytests.probe.peer import Handshake
from securitytests.tokens import Signed

#: How long a service may take to refuse a message.
_PROMPTLY_S = 3.0


@check(
    id="SE6",
    title="A bad token in a later message is refused, however good the handshake was",
    claim=Claim.REVALIDATION,
    severity=Severity.HIGH,
    references=("CWE-287", "CWE-613"),
    remediation="Verify the token of every message that carries one, before it is handled.",
    cost_s=2.0,
    tier="gentle",
)
async def bad_token_in_a_message(bench: Bench) -> None:
    """Who trusts a connection for its beginning takes whatever is said on it later.

    Publishers come in with a good token by each way of authenticating. Then each sends one
    publication with a token of its own that is altered, expired, empty or no token at all, and, on
    connections of their own, one `authentication.message` with the same. Each must be refused as
    `answers.unauthenticated` (or `expired`) says, and the event reach nobody. With a good token of
    the same subject both must be taken.
    """
    template = bench.target.publish.with_token
    again = bench.target.authentication.message
    if template is None and again is None:
        bench.cannot_tell("the profile has neither `publish.with_token` nor a message to renew by")
    signed = await bench.signed("publish")
    bad = await _bad_tokens(bench, signed)
    last = bench.mark()
    listening = bench.listen(await bench.client(), f'"{last}"')
    marks: list[str] = []
    for method in bench.methods:
        for name, (token, situation) in bad.items():
            if template is not None:
                mark = bench.mark()
                marks.append(mark)
                text = _publication(bench, template, token, mark)
                with bench.variant(f"{method}, publication with {name}"):
                    taken = bench.target.publish.acknowledged
                    bench.judge(await _say(bench, signed, method, text, situation, taken))
            if again is not None and bench.target.authentication.again == "renews":
                with bench.variant(f"{method}, authentication again with {name}"):
                    text = fill(again, {"token": token})
                    taken = bench.target.authentication.accepted
                    bench.judge(await _say(bench, signed, method, text, situation, taken))
    if template is not None:
        for method in bench.methods:
            await _control(bench, signed, method, template)
    with bench.variant("deliveries"):
        publisher = await bench.client("publish")
        await publisher.publish(bench.event(last), 5)
        heard = await bench.heard(listening)
        bench.judge(verdict_of(bool(heard.texts), "a good event arrives", str(heard)))
        arrived = [mark for mark in marks if any(f'"{mark}"' in text for text in heard.texts)]
        bench.judge(verdict_of(not arrived, "none of the events arrives", f"{len(arrived)} did"))


async def _bad_tokens(bench: Bench, signed: Signed) -> Mapping[str, tuple[str, Situation]]:
    """Return spoilt tokens of the same subject, each with how it is to be refused."""
    key = await bench.server.tokens.key()
    head, body, proof = signed.token.split(".")
    flipped = proof[:-2] + ("A" if proof[-2] != "A" else "B") + proof[-1]
    past = {**signed.claims, "exp": int(signed.claims["exp"]) - 7_200}
    if "iat" in past:
        past["iat"] = int(past["iat"]) - 7_200
    expired = jws.sign(signed.header, past, key.secret, key.algorithm)
    bench.transcript.protect(expired)
    return {
        "an altered signature": (f"{head}.{body}.{flipped}", "unauthenticated"),
        "an expired token": (expired, "expired"),
        "no token in it": ("nonsense", "unauthenticated"),
        "an empty one": ("", "unauthenticated"),
    }


def _publication(bench: Bench, template: str, token: str, mark: str) -> str:
    return fill(template, {"token": token, "event": json.dumps(bench.event(mark))})


async def _say(
    bench: Bench, signed: Signed, method: Method, text: str, situation: Situation, taken: str | None
) -> Judgement:
    """Say one message on a fresh connection and judge whether it is refused, not `taken`."""
    client = await bench.client("publish", token=signed.token, method=method)
    await client.peer.send_text(text)
    ending = await client.peer.until_end(_PROMPTLY_S, stop_at=taken)
    client.peer.stream.close()
    attempt = Attempt(method, Handshake(None, "came in"), accepted=False, ending=ending)
    return refused(attempt, bench.answer(situation))


async def _control(bench: Bench, signed: Signed, method: Method, template: str) -> None:
    with bench.variant(f"{method}, publication with a good token"):
        taken = bench.target.publish.acknowledged
        if taken is None:
            bench.cannot_tell("the profile has no `publish.acknowledged`")
        client = await bench.client("publish", token=signed.token, method=method)
        await client.peer.send_text(_publication(bench, template, signed.token, bench.mark()))
        heard = await client.peer.until_text(taken, _PROMPTLY_S)
        bench.judge(verdict_of(heard.kind == "text", "taken", heard.kind))
