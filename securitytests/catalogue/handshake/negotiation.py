"""What the answer to a handshake may agree to (RFC 6455 section 4.2.2)."""

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import Judgement, verdict_of
from securitytests.probe.http import Response

_PROTOCOL, _EXTENSIONS = "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"

#: What is offered: subprotocols, and extensions (RFC 7692 has the one everybody knows).
_OFFERS: dict[str, tuple[tuple[str, str], ...]] = {
    "nothing offered": (),
    "one subprotocol": ((_PROTOCOL, "Audit.V1"),),
    "two subprotocols": ((_PROTOCOL, "audit.v1, audit.v2"),),
    "two headers of subprotocols": ((_PROTOCOL, "audit.v1"), (_PROTOCOL, "audit.v2")),
    "an extension nobody has": ((_EXTENSIONS, "x-audit; level=9"),),
    "permessage-deflate": ((_EXTENSIONS, "permessage-deflate"),),
    "permessage-deflate with a window": (
        (_EXTENSIONS, "permessage-deflate; client_max_window_bits"),
    ),
}


@check(
    id="HS6",
    title="The answer agrees to no subprotocol or extension that was not offered",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.LOW,
    references=("RFC6455-4.2.2", "RFC7692-7.1.2.2"),
    remediation="Choose among what the client offered, compared as it stands, or leave it out.",
    cost_s=0.3,
    tier="gentle",
)
async def nothing_unoffered(bench: Bench) -> None:
    """A client must fail a connection whose answer names what it did not offer.

    One that does not would speak another protocol than the service believes. With valid
    credentials seven sets of offers are made: the answer may name at most one subprotocol, and
    extensions and parameters, of those offered. A refusal of the offer agrees to nothing.
    """
    credentials = bench.credentials(await bench.token("subscribe"))
    upgrades = 0
    for name, offered in _OFFERS.items():
        with bench.variant(name):
            answer = await bench.ask(bench.handshake_request(credentials, offered))
            if answer.response is None or not answer.upgraded:
                bench.judge(verdict_of(answer.response is not None, "an answer", str(answer)))
                continue
            upgrades += 1
            bench.judge(*_agreed(answer.response, offered))
    with bench.variant("any offer"):
        bench.judge(verdict_of(upgrades > 0, "an upgrade to judge", f"{upgrades} upgrades"))


def _agreed(response: Response, offered: tuple[tuple[str, str], ...]) -> tuple[Judgement, ...]:
    """Judge what one answer agrees to."""
    protocols, extensions = _items(offered, _PROTOCOL), _items(offered, _EXTENSIONS)
    chosen = response.all(_PROTOCOL)
    answered = _items(response.headers, _EXTENSIONS)
    known = {_name(item) for item in extensions}
    windows = [item for item in extensions if "client_max_window_bits" in item]
    stray = [
        item
        for item in answered
        if _name(item) not in known or ("client_max_window_bits" in item and not windows)
    ]
    return (
        verdict_of(
            not chosen or (len(chosen) == 1 and chosen[0] in protocols),
            f"at most one of {', '.join(protocols) or 'no subprotocols'}",
            ", ".join(chosen) or "no subprotocol",
        ),
        verdict_of(
            not stray,
            f"only {', '.join(extensions) or 'no extension'}",
            ", ".join(answered) or "no extension",
        ),
    )


def _items(headers: tuple[tuple[str, str], ...], name: str) -> list[str]:
    return [
        item.strip()
        for key, value in headers
        if key.lower() == name.lower()
        for item in value.split(",")
    ]


def _name(extension: str) -> str:
    return extension.partition(";")[0].strip()
