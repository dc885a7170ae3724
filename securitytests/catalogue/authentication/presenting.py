"""Credentials as a careless or hostile client would spell them. No checks: what they share."""

import json
import re

from monitor.contract.profile import Method
from monitor.contract.promises import Answer
from securitytests.bench import Bench
from securitytests.judging import UNREADABLE, either

#: How long a service is watched that neither refuses nor accepts: it may wait for a first message.
WAITING_S = 0.5


async def good_token(bench: Bench) -> str:
    """Return a token that is accepted, to be spoilt."""
    token = await bench.token("subscribe")
    if token is None:
        bench.cannot_tell("the profile has no `authentication.methods`")
    return token


def not_let_in(bench: Bench) -> Answer:
    """Return what may be answered to credentials that a service may also not take for any.

    Whoever is waited for meanwhile may be told that his time is over.
    """
    late = bench.target.answers.get("authentication_deadline")
    return either(bench.answer("unauthenticated"), UNREADABLE, *([late] if late else []))


def on_the_wire(token: str, method: Method) -> str:
    """Return a token of any characters so that each way of authenticating can carry it.

    In a header the bytes of its UTF-8, in a message escaped as JSON; in a URL it is
    percent-encoded by whoever spells credentials.
    """
    match method:
        case "header":
            return token.encode("utf-8", "surrogatepass").decode("latin-1")
        case "message":
            return json.dumps(token)[1:-1]
        case "query":
            return token


def spelled_twice(message: str, first: str, second: str) -> str | None:
    """Return an authentication message whose field with the token stands twice.

    None where the template does not have it as a JSON string of its own.
    """
    field = re.search(r'"[^"]+"\s*:\s*"\{token\}"', message)
    if field is None:
        return None
    both = ",".join(field[0].replace("{token}", token) for token in (first, second))
    return message.replace(field[0], both)
