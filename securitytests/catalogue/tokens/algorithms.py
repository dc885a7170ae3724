"""Tokens whose header says something about their signature that must not be believed."""

import json

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.tokens.trial import try_forged
from securitytests.check import Claim, check
from securitytests.probe import jws

#: Algorithms with a public key (RFC 7518 section 3.1, RFC 8037 section 3.1): not of our family.
_ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES512", "EdDSA")

#: Those that share a secret (RFC 7518 section 3.2).
_SYMMETRIC = ("HS256", "HS384", "HS512")


@check(
    id="TK2",
    title="An unsigned token is refused",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.CRITICAL,
    references=("ASVS-9.1.2", "CWE-347", "RFC8725-3.1", "RFC8725-3.2"),
    remediation="Pin the algorithm on the verifying side; never take it from the token's header.",
    cost_s=0.5,
    tier="gentle",
)
async def unsigned(bench: Bench) -> None:
    """`none` is a registered algorithm: whoever honours it lets everyone write their own token.

    Good claims are sent with `alg` none in four spellings and an empty signature, with another
    one's signature, and under the right algorithm without a signature, by each way of
    authenticating. The same claims, signed, must be accepted, or the refusals show nothing.
    """
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
    await try_forged(bench, signed.token, forged)


@check(
    id="TK3",
    title="Another family of algorithms is refused, whatever the key bytes",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.CRITICAL,
    references=("ASVS-9.1.2", "CWE-347", "RFC8725-3.1"),
    remediation="Bind each key to one algorithm; never let the header choose how bytes are used.",
    cost_s=0.6,
    tier="gentle",
)
async def other_family(bench: Bench) -> None:
    """Where the header chooses the family, a public key becomes a shared secret.

    Good claims are signed as the service would, with its own key bytes, under headers that name
    algorithms with a public key, and such that a number alone would decide. By each way of
    authenticating every one must be refused.
    """
    signed, key = await bench.signed("subscribe"), await bench.server.tokens.key()
    forged = {
        f"alg {name}": _signed_as(signed.header, signed.claims, name, key.secret, computed)
        for name in _ASYMMETRIC
        for computed in [f"HS{name[-3:]}" if name[-3:].isdecimal() else key.algorithm]
    }
    pinned = key.algorithm
    forged[f"alg RS{pinned[2:]}, computed as pinned"] = _signed_as(
        signed.header, signed.claims, f"RS{pinned[2:]}", key.secret, pinned
    )
    forged[f"alg A{pinned[2:]}KW"] = _signed_as(
        signed.header, signed.claims, f"A{pinned[2:]}KW", key.secret, pinned
    )
    await try_forged(bench, signed.token, forged)


@check(
    id="TK4",
    title="An algorithm other than the pinned one is refused",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.HIGH,
    references=("ASVS-9.1.2", "CWE-347", "RFC8725-3.1"),
    remediation="Verify with the one algorithm the key is for, and compare the header's with it.",
    cost_s=0.6,
    tier="gentle",
)
async def other_algorithm(bench: Bench) -> None:
    """What a service does not issue it need not accept: each further algorithm is another lock.

    Good claims are signed with the service's key by the other algorithms of its family, under
    their own name, under the pinned one and the other way round; and with the pinned one under
    names that only resemble it, as a list, or without a name. By each way of authenticating every
    one must be refused.
    """
    signed, key = await bench.signed("subscribe"), await bench.server.tokens.key()
    header, claims, pinned = signed.header, signed.claims, key.algorithm
    forged = {}
    for name in _SYMMETRIC:
        if name != pinned:
            forged[f"alg {name}"] = _signed_as(header, claims, name, key.secret, name)
            forged[f"alg {name}, computed as {pinned}"] = _signed_as(
                header, claims, name, key.secret, pinned
            )
            forged[f"alg {pinned}, computed as {name}"] = _signed_as(
                header, claims, pinned, key.secret, name
            )
    for name, stated in (
        ("lower case", pinned.lower()),
        ("a blank behind", f"{pinned} "),
        ("a list", [pinned]),
        ("null", None),
        ("empty", ""),
        ("a number", 256),
    ):
        forged[f"alg in {name}" if name == "lower case" else f"alg: {name}"] = _signed_as(
            header, claims, stated, key.secret, pinned
        )
    without = {name: value for name, value in header.items() if name != "alg"}
    forged["no alg"] = jws.sign(without, claims, key.secret, pinned)
    await try_forged(bench, signed.token, forged)


def _signed_as(
    header: dict[str, object], claims: dict[str, object], stated: object, key: bytes, computed: str
) -> str:
    """Return a token that states one algorithm and is computed with another."""
    return jws.sign({**header, "alg": stated}, claims, key, computed)


@check(
    id="TK5",
    title="A token with an unknown critical header is refused",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.MEDIUM,
    references=("CWE-347", "RFC7515-4.1.11"),
    remediation="Refuse any token with `crit`, unless each extension in it is implemented.",
    cost_s=0.5,
    tier="gentle",
)
async def unknown_critical(bench: Bench) -> None:
    """An issuer lists in `crit` what must be understood, such as a restriction of the token.

    Good claims are signed with the service's key under headers whose `crit` names an extension
    nobody has, one that is not there, registered parameters, `b64`, nothing, or is no list. By
    each way of authenticating every one must be refused.
    """
    signed, key = await bench.signed("subscribe"), await bench.server.tokens.key()
    extension = "https://audit.example/restricted"
    headers: dict[str, dict[str, object]] = {
        "an unknown extension": {"crit": [extension], extension: True},
        "an unknown extension among known ones": {"crit": ["exp", extension], extension: 1},
        "an extension that is not there": {"crit": [extension]},
        "a registered parameter": {"crit": ["alg"]},
        "nothing": {"crit": []},
        "a text": {"crit": extension, extension: True},
        "null": {"crit": None},
        "an unencoded payload": {"crit": ["b64"], "b64": False},
    }
    forged = {
        f"crit: {name}": jws.sign(
            {**signed.header, **more}, signed.claims, key.secret, key.algorithm
        )
        for name, more in headers.items()
    }
    content = json.dumps(signed.claims).encode()
    head = jws.encode_segment(json.dumps({**signed.header, "crit": ["b64"], "b64": False}).encode())
    proof = jws.signature(head.encode() + b"." + content, key.secret, key.algorithm)
    encoded = jws.encode_segment(content)
    forged["crit: b64, signed unencoded"] = f"{head}.{encoded}.{jws.encode_segment(proof)}"
    await try_forged(bench, signed.token, forged)
