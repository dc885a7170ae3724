"""Tokens whose signature is not that of their content, or made with a key anybody may guess."""

import secrets

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.tokens.trial import try_forged
from securitytests.check import Claim, check
from securitytests.probe import jws

#: Secrets of tutorials, defaults of frameworks, and what people type first.
_WEAK = (
    "secret",
    "Secret",
    "secretkey",
    "secret_key",
    "secret-key",
    "mysecret",
    "my-secret",
    "my-secret-key",
    "supersecret",
    "super-secret-key",
    "your-256-bit-secret",
    "your-384-bit-secret",
    "your-512-bit-secret",
    "your-secret-key",
    "a-string-secret-at-least-256-bits-long",
    "jwt",
    "jwt-secret",
    "jwt_secret",
    "JWT_SECRET",
    "key",
    "private",
    "token",
    "auth",
    "password",
    "passw0rd",
    "changeme",
    "change-me",
    "default",
    "test",
    "dev",
    "development",
    "admin",
    "root",
    "guest",
    "example",
    "123456",
    "12345678",
    "qwerty",
    "0",
    "null",
    "undefined",
    "None",
    "hmac",
    "HS256",
)


@check(
    id="TK1",
    title="A token with an altered signature or claim is refused",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.CRITICAL,
    references=("ASVS-9.1.1", "CWE-347"),
    remediation="Verify the whole signature over header and claims before reading either.",
    cost_s=0.8,
    tier="gentle",
)
async def altered(bench: Bench) -> None:
    """A token is worth what its signature covers, and only if all of it is compared.

    A good token is altered in one place: a bit at the beginning, in the middle and at the end of
    its signature; the signature cut short, doubled, another token's; subject, scope, expiry and
    header changed under the old signature; signed with another key of the same length. By each way
    of authenticating every one must be refused, also after the good one has been accepted.
    """
    signed, other = await bench.signed("subscribe"), await bench.signed("subscribe")
    key = await bench.server.tokens.key()
    head, body, proof = signed.token.split(".")
    raw = jws.decode_segment(proof)
    claims = signed.claims
    forged = {
        f"{name} bit of the signature": f"{head}.{body}.{_flipped(raw, at)}"
        for name, at in (("first", 0), ("middle", len(raw) // 2), ("last", len(raw) - 1))
    }
    forged["half of the signature"] = f"{head}.{body}.{jws.encode_segment(raw[: len(raw) // 2])}"
    forged["half a signature, then zeros"] = (
        f"{head}.{body}.{jws.encode_segment(raw[: len(raw) // 2].ljust(len(raw), bytes(1)))}"
    )
    forged["the signature twice"] = f"{head}.{body}.{jws.encode_segment(raw + raw)}"
    forged["another token's signature"] = f"{head}.{body}.{other.token.rpartition('.')[2]}"
    changes = {
        "sub": f"{claims.get('sub', '')}-else",
        "scope": " ".join((bench.target.signing.scopes if bench.target.signing else {}).values()),
        "exp": claims.get("exp", 0) + 1,
        "jti": secrets.token_hex(16),
    }
    for name, value in changes.items():
        if name in claims and claims[name] != value:
            changed = jws.sign(signed.header, {**claims, name: value}, b"", "none")
            forged[f"another {name}, the same signature"] = changed + proof
    header = jws.sign({**signed.header, "audit": True}, claims, b"", "none")
    forged["another header, the same signature"] = header + proof
    wrong = secrets.token_bytes(len(key.secret))
    forged["another key"] = jws.sign(signed.header, claims, wrong, key.algorithm)
    # Not the last byte: HMAC fills a key up with zeros, so one that ends in zero would be the same.
    forged["the key but for its first byte"] = jws.sign(
        signed.header, claims, key.secret[1:], key.algorithm
    )
    await try_forged(bench, signed.token, forged)


def _flipped(content: bytes, at: int) -> str:
    """Return base64url of `content` with one bit of the byte at `at` changed."""
    changed = bytearray(content)
    changed[at] ^= 0x10
    return jws.encode_segment(bytes(changed))


@check(
    id="TK9",
    title="A token forged with a common weak secret is refused",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.CRITICAL,
    references=("CWE-1391", "RFC8725-3.5"),
    remediation="Generate signing keys at random; ship none, and accept none from an example.",
    cost_s=1.0,
    tier="gentle",
)
async def weak_secrets(bench: Bench) -> None:
    """A secret from a tutorial is known to everybody who reads it.

    Good claims are signed with 44 secrets of tutorials and defaults, with no secret, with zeros,
    and with the names the token itself gives away: issuer, audience, subject and key id. By each
    way of authenticating every one must be refused.
    """
    signed, key = await bench.signed("subscribe"), await bench.server.tokens.key()
    given_away = {
        str(value)
        for name, value in (*signed.claims.items(), *signed.header.items())
        if name in {"iss", "aud", "sub", "kid"}
    }
    guesses = {f"secret {word}": word.encode() for word in (*_WEAK, *sorted(given_away))}
    guesses["no secret"] = b""
    guesses["32 letters a"] = b"a" * 32
    forged = {
        name: jws.sign(signed.header, signed.claims, secret, key.algorithm)
        for name, secret in guesses.items()
    }
    await try_forged(bench, signed.token, forged)
