"""Tokens whose header says something about their signature that must not be believed."""

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import refused, verdict_of
from securitytests.probe import jws


@check(
    id="TK2",
    title="An unsigned token is refused",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.CRITICAL,
    references=("CWE-347", "RFC8725-3.1"),
    remediation="Pin the algorithm on the verifying side; never take it from the token's header.",
    cost_s=0.5,
)
async def unsigned(bench: Bench) -> None:
    """`none` is a registered algorithm: whoever honours it lets everyone write their own token.

    Good claims are sent with `alg` none in four spellings and an empty signature, with another
    one's signature, and under the right algorithm without a signature, by each way of
    authenticating. The same claims, signed, must be accepted, or the refusals show nothing.
    """
    expected = bench.answer("unauthenticated")
    signed = await bench.signed("subscribe")
    key = await bench.server.tokens.key()
    head, body, proof = signed.token.split(".")
    forged = {
        f"alg {spelling}": jws.sign({**signed.header, "alg": spelling}, signed.claims, b"", "none")
        for spelling in ("none", "None", "NONE", "nOnE")
    }
    forged["alg none with a signature"] = forged["alg none"] + proof
    forged[f"alg {key.algorithm} without signature"] = f"{head}.{body}."
    forged["two parts only"] = f"{head}.{body}"
    for method in bench.methods:
        with bench.variant(f"{method}, signed"):
            attempt = await bench.attempt(signed.token, method)
            bench.judge(verdict_of(attempt.accepted, "accepted", str(attempt)))
        for name, token in forged.items():
            with bench.variant(f"{method}, {name}"):
                bench.judge(refused(await bench.attempt(token, method), expected))
