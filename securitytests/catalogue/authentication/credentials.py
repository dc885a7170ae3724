"""Credentials that are wrong, of another scheme, or there more than once."""

import asyncio
import base64
import itertools
import secrets
from urllib.parse import quote

from monitor.contract.profile import Method
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.authentication.presenting import (
    WAITING_S,
    good_token,
    not_let_in,
    on_the_wire,
    spelled_twice,
)
from securitytests.check import Claim, check
from securitytests.judging import UNREADABLE, either, kept_out, refused, verdict_of
from securitytests.probe.http import Request

#: Larger than any token, and than what a service should read of somebody it does not know.
_OVERSIZED_CHARS = 20_000


#: What cannot stand in a header (RFC 9110 section 5.5) or is too long: a server may just hang up.
_NO_HEADER = frozenset(
    {
        "a NUL behind",
        "a NUL and more behind",
        "a NUL only",
        "an accent behind",
        "a full-width letter",
        "oversized",
        "oversized behind",
    }
)


def spoilt(good: str) -> dict[str, str]:
    """Return tokens that are not `good` but were made of it, or of nothing."""
    first = next(at for at, char in enumerate(good) if char.isascii() and char.isalnum())
    full_width = good[:first] + chr(ord(good[first]) + 0xFEE0) + good[first + 1 :]
    made = {
        "random": secrets.token_urlsafe(len(good) * 3 // 4),
        "cut by one": good[:-1],
        "first character missing": good[1:],
        "one character more": f"{good}A",
        "twice in one": good + good,
        "in another case": good.swapcase(),
        "quoted": f'"{good}"',
        "a NUL behind": f"{good}\0",
        "a NUL and more behind": f"{good}\0anything",
        "a NUL only": "\0",
        "an accent behind": f"{good}\N{LATIN SMALL LETTER E WITH ACUTE}",
        "a full-width letter": full_width,
        "two dots": "..",
        "more behind": f"{good}.{'A' * 40}",
        "oversized": "A" * _OVERSIZED_CHARS,
        "oversized behind": good + "A" * _OVERSIZED_CHARS,
    }
    return {name: token for name, token in made.items() if token != good}


@check(
    id="AU2",
    title="A wrong, empty, oversized or malformed token is refused",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.CRITICAL,
    references=("CWE-287",),
    remediation="Compare or verify a token whole, as it came: not folded, cut, nor as a prefix.",
    cost_s=0.8,
    tier="gentle",
)
async def bad_tokens(bench: Bench) -> None:
    """A token that was cut, folded or extended on the way to its verification may become good.

    By each way of authenticating sixteen tokens are shown that were made of a good one or of
    nothing: cut, doubled, in another case, with a NUL, an accent or a full-width letter, of 20,000
    characters. Each must be refused as `answers.unauthenticated` says, or as unreadable; what no
    header can carry may be answered by hanging up. An empty one may also leave its bearer waiting
    to authenticate. The good one must be accepted.
    """
    good = await good_token(bench)
    await asyncio.gather(*(_each_spoilt(bench, good, method) for method in bench.methods))


async def _each_spoilt(bench: Bench, good: str, method: Method) -> None:
    expected = either(bench.answer("unauthenticated"), UNREADABLE)
    with bench.variant(f"{method}, good"):
        attempt = await bench.attempt(good, method)
        bench.judge(verdict_of(attempt.accepted, "accepted", str(attempt)))
    for name, bad in spoilt(good).items():
        with bench.variant(f"{method}, {name}"):
            attempt = await bench.attempt(on_the_wire(bad, method), method)
            unread = attempt.handshake.response is None and name in _NO_HEADER
            bench.judge(
                verdict_of(True, "refused or hung up", "not read as HTTP, hung up")
                if unread
                else refused(attempt, expected)
            )
    with bench.variant(f"{method}, empty"):
        attempt = await bench.attempt("", method, watch_s=WAITING_S)
        bench.judge(kept_out(attempt, not_let_in(bench)))


@check(
    id="AU3",
    title="Credentials of another scheme are refused",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.HIGH,
    references=("CWE-287", "RFC6750-2.1"),
    remediation="Read the scheme of Authorization whole and take a token from no other one.",
    cost_s=0.6,
    tier="gentle",
)
async def other_schemes(bench: Bench) -> None:
    """What was meant for another scheme was checked by nobody for this one.

    A good token is shown in the profile's header under other schemes, without one, without the
    blank, and under names that begin or end as the right one does; by the other ways with a scheme
    in front. None may be let in: refused as `answers.unauthenticated` says, or left to
    authenticate. The right spelling must be accepted.
    """
    good = await good_token(bench)
    spelled = bench.target.authentication
    scheme, blank, _ = spelled.header_value.partition(" ")
    if not blank or "{token}" in scheme:
        bench.cannot_tell("the profile's `authentication.header_value` has no scheme")
    user = base64.b64encode(f"audit:{good}".encode()).decode()
    values = {
        "Basic": f"Basic {good}",
        "Basic with a user": f"Basic {user}",
        "Digest": f"Digest {good}",
        "none": good,
        "no blank": f"{scheme}{good}",
        "a letter more": f"{scheme}s {good}",
        "a letter less": f"{scheme[:-1]} {good}",
        "a letter in front": f"X{scheme} {good}",
        "a colon": f"{scheme}: {good}",
        "an equals sign": f"{scheme}={good}",
        "another scheme in front": f"Basic {scheme} {good}",
    }
    expected = not_let_in(bench)

    async def in_the_header() -> None:
        for name, value in values.items():
            with bench.variant(f"header, {name}"):
                request = bench.handshake_request(headers=[(spelled.header_name, value)])
                attempt = await bench.attempt_with(request, None, "header", watch_s=WAITING_S)
                bench.judge(kept_out(attempt, expected))

    async def elsewhere(method: Method) -> None:
        with bench.variant(f"{method}, right"):
            attempt = await bench.attempt(good, method)
            bench.judge(verdict_of(attempt.accepted, "accepted", str(attempt)))
        if method == "header":
            return
        for other in ("Basic", "Digest"):
            with bench.variant(f"{method}, {other} in front"):
                attempt = await bench.attempt(f"{other} {good}", method)
                bench.judge(kept_out(attempt, expected))

    await asyncio.gather(in_the_header(), *(elsewhere(method) for method in bench.methods))


@check(
    id="AU4",
    title="Conflicting or repeated credentials are refused",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.HIGH,
    references=("ASVS-15.3.7", "CWE-287", "RFC6750-2"),
    remediation="Collect every credential of a request from everywhere; accept exactly one.",
    cost_s=0.6,
    tier="gentle",
)
async def ambiguous_credentials(bench: Bench) -> None:
    """Where two are shown, a proxy may look at the one and the service at the other.

    A good token is shown twice, and beside a bad, an empty and somebody else's one: in the URL, in
    the header, in both, and twice in one first message, in either order. None may be let in:
    refused as `answers.unauthenticated` says or as a bad request. One alone must be accepted.
    """
    good, bad = await good_token(bench), secrets.token_urlsafe(40)
    pairs = {
        "twice the same": (good, good),
        "good, then bad": (good, bad),
        "bad, then good": (bad, good),
        "good, then empty": (good, ""),
    }
    if bench.server.tokens.can_sign:
        pairs["two subjects"] = (good, (await bench.signed("subscribe")).token)
    ways: list[Method] = [method for method in bench.methods if method != "message"]
    expected = not_let_in(bench)
    variants: dict[str, tuple[Request, str | None]] = {}
    for name, (one, other) in pairs.items():
        for first, second in itertools.product(ways, ways):
            if (first, second) != ("header", "query"):  # the order of URL and header is given
                variants[f"{first} and {second}, {name}"] = (
                    _with_both(bench, (first, one), (second, other)),
                    None,
                )
        template = bench.target.authentication.message
        doubled = spelled_twice(template, one, other) if template else None
        if "message" in bench.methods and doubled is not None:
            variants[f"message, {name}"] = (bench.handshake_request(), doubled)
    scheme_beside = _with_both(bench, (ways[0], good)) if ways else bench.handshake_request()
    if ways:
        name = bench.target.authentication.header_name
        variants["another scheme beside"] = (scheme_beside.with_headers((name, "Basic YTpi")), None)

    async def singly() -> None:
        for method in bench.methods:
            with bench.variant(f"{method}, one alone"):
                attempt = await bench.attempt(good, method)
                bench.judge(verdict_of(attempt.accepted, "accepted", str(attempt)))

    async def both(name: str, request: Request, message: str | None) -> None:
        with bench.variant(name):
            attempt = await bench.attempt_with(request, message, name, watch_s=WAITING_S)
            bench.judge(kept_out(attempt, expected))

    await asyncio.gather(singly(), *(both(name, *shown) for name, shown in variants.items()))


def _with_both(bench: Bench, *shown: tuple[Method, str]) -> Request:
    """Return a handshake with these tokens, each in its place, in this order."""
    spelled = bench.target.authentication
    queries = [
        f"{spelled.query_parameter}={quote(token, safe='')}"
        for method, token in shown
        if method == "query"
    ]
    headers = [
        (spelled.header_name, spelled.header_value.replace("{token}", token))
        for method, token in shown
        if method == "header"
    ]
    return bench.handshake_request(headers=headers, query="&".join(queries))
