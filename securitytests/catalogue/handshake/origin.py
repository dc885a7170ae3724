"""Which pages may connect (RFC 6455 section 10.2)."""

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import refused, verdict_of


@check(
    id="HS1",
    title="A foreign Origin is refused",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.HIGH,
    references=("ASVS-4.4.2", "CWE-1385", "RFC6455-10.2"),
    remediation="Compare Origin with a list of allowed origins before answering the handshake.",
    cost_s=0.3,
    tier="gentle",
)
async def foreign_origin(bench: Bench) -> None:
    """A browser opens WebSockets to any site and sends along what it has of the visitor's.

    Only Origin tells which page asked. Valid credentials are shown from each foreign origin of the
    profile, by each way of authenticating; each must be refused as `answers.foreign_origin` says.
    The same credentials from an allowed origin must be accepted, or the refusals show nothing.
    """
    expected = bench.answer("foreign_origin")
    token = await bench.token("subscribe")
    own = bench.own_origin()
    for method in bench.methods:
        for origin in bench.target.origins.foreign:
            with bench.variant(f"{method}, Origin {origin}"):
                attempt = await bench.attempt(token, method, headers=[("Origin", origin)])
                bench.judge(refused(attempt, expected))
        for origin in bench.target.origins.allowed:
            with bench.variant(f"{method}, allowed Origin {origin}"):
                shown = origin.replace("{own}", own)
                attempt = await bench.attempt(token, method, headers=[("Origin", shown)])
                bench.judge(verdict_of(attempt.accepted, "accepted", str(attempt)))
