"""What is a WebSocket handshake at all (RFC 6455 section 4.2)."""

import msgspec

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import verdict_of
from securitytests.probe.http import Request

_VERSION, _KEY = "Sec-WebSocket-Version", "Sec-WebSocket-Key"

#: A page, a client error, or a version of HTTP that is not served.
_NO_UPGRADE = frozenset((*range(200, 500), 505))


def _bent(good: Request) -> dict[str, Request]:
    """Return handshakes that each break one rule of RFC 6455 section 4.2.1."""
    return {
        "version 99": good.with_header(_VERSION, "99"),
        "version 0": good.with_header(_VERSION, "0"),
        "no version": good.without(_VERSION),
        "version that is no number": good.with_header(_VERSION, "thirteen"),
        "no key": good.without(_KEY),
        "key of 15 bytes": good.with_header(_KEY, "AAAAAAAAAAAAAAAAAAAA"),
        "key that is not base64": good.with_header(_KEY, "!" * 24),
        "no Upgrade": good.without("Upgrade"),
        "Upgrade to something else": good.with_header("Upgrade", "h2c"),
        "no Connection": good.without("Connection"),
        "POST": msgspec.structs.replace(good, method="POST"),
        "HTTP/1.0": msgspec.structs.replace(good, version="HTTP/1.0"),
    }


@check(
    id="HS5",
    title="A wrong version, key or method never upgrades",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.MEDIUM,
    references=("RFC6455-4.2.1", "RFC6455-4.2.2"),
    remediation="Let a conforming library judge the handshake; answer a wrong version with 426.",
    cost_s=0.3,
    tier="gentle",
)
async def conforming_handshake(bench: Bench) -> None:
    """A handshake that only resembles one can be made by what is not a WebSocket client.

    An HTML form, an HTTP cache, a smuggled request: the rules of RFC 6455 keep them apart. Each
    variant breaks one rule, with valid credentials, and must not be upgraded.
    """
    token = await bench.token("subscribe")
    good = bench.handshake_request(bench.credentials(token))
    for name, request in _bent(good).items():
        with bench.variant(name):
            answer = await bench.ask(request)
            refused = not answer.upgraded and (answer.status or 400) in _NO_UPGRADE
            bench.judge(verdict_of(refused, "no upgrade, and no HTTP 5xx but 505", str(answer)))
