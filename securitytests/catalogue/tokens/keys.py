"""Which key a token is verified with, and where keys and ids come from."""

import asyncio
import contextlib
import secrets
import zlib
from collections.abc import AsyncIterator
from urllib.parse import quote

from monitor.contract.launch import Launch
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.tokens.trial import try_forged
from securitytests.check import Claim, check
from securitytests.judging import Judgement, verdict_of
from securitytests.probe import jws
from securitytests.tokens import Tokens

#: What one fresh key and one token id are to be worth at least.
_KEY_BITS = 256
_ID_BITS = 128

#: What zlib adds to random bytes, and never less: header, checksum, one block's end.
_ZLIB_BYTES = 8


class _Bait:
    """A key server nobody should ask: counts who does."""

    def __init__(self) -> None:
        self.url = ""
        self.visits = 0

    async def visit(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count, and hang up."""
        self.visits += 1
        writer.close()


@contextlib.asynccontextmanager
async def _bait() -> AsyncIterator[_Bait]:
    bait = _Bait()
    server = await asyncio.start_server(bait.visit, "127.0.0.1", 0)
    async with server:
        bait.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys.json"
        yield bait


@check(
    id="TK6",
    title="Keys named or brought by the token itself are not used",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.CRITICAL,
    references=("ASVS-9.1.3", "CWE-347", "RFC8725-3.10"),
    remediation="Take keys from a closed table; use `kid` to look up in it, and nothing else.",
    cost_s=0.8,
    tier="gentle",
)
async def brought_keys(bench: Bench) -> None:
    """A token that may say with which key it is verified verifies itself.

    Good claims are signed with a key of ours, which the header brings along (`jwk`, `x5c`), names
    by a URL of ours (`jku`, `x5u`, `kid`), or by what a path or a database query would turn into a
    known value. By each way of authenticating every one must be refused. The URL may not be
    fetched, not even for tokens whose signature is good.
    """
    signed, key = await bench.signed("subscribe"), await bench.server.tokens.key()
    ours = secrets.token_bytes(64)
    async with _bait() as bait:
        headers = _bringing(ours, bait.url)
        forged = {
            name: jws.sign({**signed.header, **more}, signed.claims, secret, key.algorithm)
            for name, (more, secret) in headers.items()
        }
        await try_forged(bench, signed.token, forged)
        for parameter in ("jku", "x5u"):
            header = {**signed.header, parameter: bait.url}
            token = jws.sign(header, signed.claims, key.secret, key.algorithm)
            bench.transcript.protect(token)
            for method in bench.methods:  # whether it is accepted is its own affair
                await bench.attempt(token, method)
        with bench.variant("the URLs"):
            bench.judge(
                verdict_of(bait.visits == 0, "never fetched", f"fetched {bait.visits} times")
            )


def _bringing(ours: bytes, url: str) -> dict[str, tuple[dict[str, object], bytes]]:
    """Return headers and the secret that whoever believes them would verify with."""
    jwk = {"kty": "oct", "k": jws.encode_segment(ours), "alg": "HS256"}
    kid = "attacker"
    return {
        "jwk": ({"jwk": jwk}, ours),
        "jwk with its own kid": ({"jwk": {**jwk, "kid": kid}, "kid": kid}, ours),
        "jku": ({"jku": url}, ours),
        "x5u": ({"x5u": url}, ours),
        "x5c": ({"x5c": [jws.encode_segment(ours)]}, ours),
        "kid: unknown": ({"kid": kid}, ours),
        "kid: unknown, its own name as key": ({"kid": kid}, kid.encode()),
        "kid: unknown, no key": ({"kid": kid}, b""),
        "kid: empty": ({"kid": ""}, b""),
        "kid: a file without content": ({"kid": "../../../../../../../../dev/null"}, b""),
        "kid: a file, absolute": ({"kid": "/dev/null"}, b""),
        "kid: a file, encoded": ({"kid": quote("../../../../../../../../dev/null", safe="")}, b""),
        "kid: a query": ({"kid": "x' UNION SELECT 'attacker"}, kid.encode()),
        "kid: a query with a comment": ({"kid": "x' UNION SELECT 'attacker' -- "}, kid.encode()),
        "kid: a URL": ({"kid": url}, ours),
        "kid: null": ({"kid": None}, b""),
        "kid: a list": ({"kid": [kid]}, ours),
    }


@check(
    id="TK11",
    title="Generated secrets and ids are long, random and never repeated",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.HIGH,
    references=("ASVS-11.5.1", "CWE-331", "RFC7518-3.2", "RFC8725-3.5"),
    remediation="Take keys and ids from the system's random source, 256 and 128 bits at least.",
    cost_s=3.0,
    tier="gentle",
)
async def random_material(bench: Bench) -> None:
    """A key that can be computed, or that two installations share, is no secret.

    The signing key must have 256 bits that do not compress; a second start on a fresh state
    folder must have made another. Tokens the profile's commands issue must have ids of 128 bits,
    all different, that do not count up.
    """
    key = await bench.server.tokens.key()
    with bench.variant("the signing key"):
        bench.judge(random_enough(key.secret, _KEY_BITS))
    source = bench.target.tokens.get("subscribe")
    await asyncio.gather(
        _second_start(bench, key.secret),
        _ids(bench) if source is not None and source.command is not None else asyncio.sleep(0),
    )


def random_enough(content: bytes, bits: int) -> Judgement:
    """Judge by length and by what cannot be compressed; neither proves randomness."""
    held = 8 * min(len(content), len(zlib.compress(content, 9)) - _ZLIB_BYTES)
    wanted = f"{bits} bits or more"
    return verdict_of(held >= bits, wanted, f"{8 * len(content)} bits, {held} after compression")


async def _second_start(bench: Bench, secret: bytes) -> None:
    if bench.target.start is None:
        return

    def other_secret() -> bytes:
        with Launch(bench.target) as launch:
            return asyncio.run(Tokens(launch).key()).secret

    with bench.variant("a second start"):
        if bench.target.start.ready == "connect":
            bench.cannot_tell(
                "at its one fixed address it cannot be started twice; let it announce the address"
                ' (`ready = "json-url"`), or decline TK11'
            )
        other = await asyncio.to_thread(other_secret)
        shared = sum(a == b for a, b in zip(secret, other, strict=False))
        # Of n random bytes n/256 agree; of hexadecimal digits n/16. More than half never do.
        bench.judge(
            verdict_of(
                2 * shared < len(secret), "another key", f"{shared} of {len(secret)} bytes the same"
            )
        )


async def _ids(bench: Bench) -> None:
    issued = [await asyncio.to_thread(bench.server.launch.token, "subscribe") for _ in range(3)]
    for token in filter(None, issued):
        bench.transcript.protect(token)
    with bench.variant("token ids"):
        ids = [str(jws.read(token)[1].get("jti", "")) for token in filter(None, issued)]
        bench.judge(
            verdict_of(len(set(ids)) == len(ids), "all different", f"{len(set(ids))} of {len(ids)}")
        )
        for identifier in ids:
            bench.judge(long_enough(identifier))
        shared = common_prefix(ids)
        bench.judge(
            verdict_of(2 * shared < len(ids[0]), "nothing in common", f"{shared} characters")
        )


def long_enough(identifier: str) -> Judgement:
    """Judge an id by its alphabet: hexadecimal (dashes apart) or base64url."""
    digits = identifier.replace("-", "").lower()
    hexadecimal = all(digit in "0123456789abcdef" for digit in digits)
    held = 4 * len(digits) if hexadecimal else 6 * len(identifier)
    return verdict_of(held >= _ID_BITS, f"{_ID_BITS} bits or more", f"{held} bits")


def common_prefix(texts: list[str]) -> int:
    """Return how many characters all of the texts begin with."""
    return next(
        (at for at, chars in enumerate(zip(*texts, strict=False)) if len(set(chars)) > 1),
        min(map(len, texts)),
    )
