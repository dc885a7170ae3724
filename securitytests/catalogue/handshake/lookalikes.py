"""Origins that resemble an allowed one, none at all, and names rebound to this machine."""

from urllib.parse import urlsplit

from monitor.contract.promises import Answer
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import either, refused, verdict_of

#: A name that an attacker may point at any address, this machine's own too.
_REBOUND = "rebound.attacker.example"

#: How HTTP itself answers a request for somebody else (RFC 9110 section 15.5.20) or a bad one.
_MISDIRECTED = Answer(status=(400, 421))


def lookalikes(origin: str) -> dict[str, str]:
    """Return origins that are not `origin` and that careless comparisons take for it."""
    parts = urlsplit(origin)
    scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    at = "" if port is None else f":{port}"
    found = {
        "null": "null",
        "suffix": f"{origin}.attacker.example",
        "suffix of the host": f"{scheme}://{host}.attacker.example{at}",
        "prefix of the host": f"{scheme}://attacker{host}{at}",
        "subdomain": f"{scheme}://attacker.{host}{at}",
        "other port": f"{scheme}://{host}:{(port or 80) % 65_535 + 1}",
        "port with a digit more": f"{scheme}://{host}:{port or 80}0",
        "other scheme": f"{'https' if scheme == 'http' else 'http'}://{host}{at}",
        "scheme in capitals": f"{scheme.upper()}://{host}{at}",
        "userinfo": f"{origin}@attacker.example",
        "userinfo of one's own": f"{scheme}://attacker@{host}{at}",
        "path": f"{origin}/attacker",
        "inside a path": f"https://attacker.example/{origin}",
        "trailing dot": f"{scheme}://{host}.{at}",
        "two in one header": f"{origin}, https://attacker.example",
    }
    if port is not None:
        found["no port"] = f"{scheme}://{host}"
    if "." in host:
        before, _, after = host.rpartition(".")
        found["a letter for the last dot"] = f"{scheme}://{before}x{after}{at}"
    return found


@check(
    id="HS2",
    title="Origins that resemble an allowed one are refused",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.HIGH,
    references=("ASVS-4.4.2", "CWE-1385", "RFC6455-10.2"),
    remediation="Compare the whole Origin with a list, as text; no prefixes and no patterns.",
    cost_s=0.6,
    tier="gentle",
)
async def resembling_origins(bench: Bench) -> None:
    """Comparisons by prefix, suffix or pattern let in whoever registers the right name.

    Valid credentials are shown from `null` and from origins made of each allowed one and of the
    service's address: with a suffix, a subdomain, another port or scheme, a letter in place of a
    dot, capitals, userinfo. Each must be refused as `answers.foreign_origin` says; each allowed
    origin must be accepted.
    """
    expected = either(bench.answer("foreign_origin"), Answer(status=(400,)))
    token = await bench.token("subscribe")
    method = bench.methods[0]
    credentials = bench.credentials(token, method)
    own = bench.own_origin()
    origins = [allowed.replace("{own}", own) for allowed in bench.target.origins.allowed]
    for origin in origins:
        with bench.variant(f"Origin {origin}"):
            attempt = await bench.attempt(token, method, headers=[("Origin", origin)])
            bench.judge(verdict_of(attempt.accepted, "accepted", str(attempt)))
    endpoint = bench.server.endpoint
    address = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
    by_address = f"{address}:{endpoint.port}"
    imitated = dict.fromkeys([own, *origins], endpoint.host)
    imitated[f"{urlsplit(own).scheme}://{by_address}"] = by_address
    for origin, host in imitated.items():
        for name, other in lookalikes(origin).items():
            with bench.variant(f"{name}, Origin {other}"):
                request = bench.handshake_request(credentials, [("Origin", other)])
                request = request.with_header("Host", host)
                attempt = await bench.attempt_with(request, credentials.message, method)
                bench.judge(refused(attempt, expected))
    for other in bench.methods[1:]:
        with bench.variant(f"{other}, null"):
            attempt = await bench.attempt(token, other, headers=[("Origin", "null")])
            bench.judge(refused(attempt, expected))


@check(
    id="HS3",
    title="A missing Origin follows the declared policy",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.LOW,
    references=("RFC6455-4.2.1", "RFC6455-10.2"),
    remediation="Decide whether programs may connect, and treat a missing Origin so everywhere.",
    cost_s=0.2,
    tier="gentle",
)
async def missing_origin(bench: Bench) -> None:
    """Programs send no Origin, browsers always do; a service should know which it wants.

    Valid credentials are shown without Origin, by each way of authenticating. They must be
    accepted, or refused as `answers.foreign_origin` says, as `origins.missing` declares.
    """
    policy = bench.target.origins.missing
    token = await bench.token("subscribe")
    for method in bench.methods:
        with bench.variant(method):
            credentials = bench.credentials(token, method)
            request = bench.handshake_request(credentials).without("Origin")
            attempt = await bench.attempt_with(request, credentials.message, method)
            if policy == "accepted":
                bench.judge(verdict_of(attempt.accepted, "accepted", str(attempt)))
            else:
                bench.judge(refused(attempt, bench.answer("foreign_origin")))


@check(
    id="HS4",
    title="A name rebound to this machine does not make its page our own",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.HIGH,
    references=("ASVS-4.4.2", "CWE-346", "CWE-1385"),
    remediation="Keep a list of one's own names; an Origin that equals Host is no proof of it.",
    cost_s=0.3,
    tier="gentle",
)
async def rebound_names(bench: Bench) -> None:
    """An attacker's name that resolves to 127.0.0.1 stands in Origin and Host alike.

    To the browser such a page has the service's own origin, so comparing the two headers with
    each other proves nothing; nor does the connection coming from loopback. Valid credentials are
    shown from such names, by each way of authenticating: each must be refused as
    `answers.foreign_origin` says, or as misdirected.
    """
    expected = either(bench.answer("foreign_origin"), _MISDIRECTED)
    token = await bench.token("subscribe")
    _, colon, port = bench.server.endpoint.host.rpartition(":")
    scheme = bench.own_origin().partition("://")[0]
    for method in bench.methods:
        credentials = bench.credentials(token, method)
        for name in (_REBOUND, f"localhost.{_REBOUND}", f"127.0.0.1.{_REBOUND}"):
            host = f"{name}{colon}{port}" if colon else name
            with bench.variant(f"{method}, Origin and Host {name}"):
                request = bench.handshake_request(credentials, [("Origin", f"{scheme}://{host}")])
                request = request.with_header("Host", host)
                attempt = await bench.attempt_with(request, credentials.message, method)
                bench.judge(refused(attempt, expected))
        with bench.variant(f"{method}, Origin {_REBOUND}, Host own"):
            foreign = [("Origin", f"{scheme}://{_REBOUND}{colon}{port}")]
            attempt = await bench.attempt(token, method, headers=foreign)
            bench.judge(refused(attempt, expected))
