"""Ways of being taken for somebody else, or for nobody: none may bring more than the promise."""

import itertools
from collections.abc import Sequence

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.rates.asking import (
    ask_all,
    beyond,
    counted_page,
    in_time,
    say,
    say_all,
    served,
    speaks,
    without_message,
)
from securitytests.check import Claim, check
from securitytests.judging import CannotTellError, answered, verdict_of
from securitytests.probe.client import Client, NotServedError
from securitytests.probe.http import Request

#: Messages said on each connection before it is closed and another is made.
_MESSAGES_EACH = 7

#: Headers in which proxies name the client they speak for; `{address}` is that client's.
_FORWARDING = (
    ("X-Forwarded-For", "{address}"),
    ("X-Forwarded-For", "{address}, 127.0.0.1"),
    ("Forwarded", 'for="{address}";proto=https'),
    ("X-Real-IP", "{address}"),
    ("X-Client-IP", "{address}"),
    ("True-Client-IP", "{address}"),
    ("CF-Connecting-IP", "{address}"),
    ("X-Cluster-Client-IP", "{address}"),
    ("X-Originating-IP", "{address}"),
    ("Client-IP", "{address}"),
)


@check(
    id="RL3",
    title="Reconnecting does not give a new allowance",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("CWE-770", "ASVS-2.4.1"),
    remediation="Count by address, outside of the connection, and keep the count when it closes.",
    cost_s=1.5,
    tier="destructive",
)
async def reconnecting_resets_nothing(bench: Bench) -> None:
    """A limit that lives with the connection is no limit to whoever connects again.

    From one address a client connects, says a few messages, and ends by closing handshake, FIN or
    RST in turn, until as many requests are made as the profile promises: all must be served. Then
    a handshake and a page must be refused as `answers.over_limit` says.
    """
    if not speaks(bench) or "handshake" not in bench.promises.counted:
        bench.cannot_tell("the profile does not count handshakes and messages")
    limit, address = int(bench.promised("requests_per_window")), bench.own_address()
    refusal = bench.answer("over_limit").error or ""
    started, used, refused = bench.now(), 0, 0
    for how in itertools.cycle(("closing handshake", "FIN", "RST")):
        if used >= limit or refused:
            break
        try:
            client = await bench.client("publish", method=without_message(bench), source=address)
        except NotServedError:
            refused += 1
            break
        used += 1
        answers = await say_all(bench, client, min(_MESSAGES_EACH, limit - used))
        refused += sum(refusal in answer for answer in answers)
        used += len(answers)
        await _end(client, how)
    attempt = await bench.attempt(
        await bench.token("publish"), without_message(bench), source=address
    )
    in_time(bench, started)
    bench.judge(verdict_of(not refused, f"{limit} served", f"refused after {used}"))
    with bench.variant("the next handshake"):
        bench.judge(beyond(bench, attempt.handshake, started))


async def _end(client: Client, how: str) -> None:
    peer = client.peer
    match how:
        case "closing handshake":
            await peer.send_close(1000)
            await peer.until_end(2)
            await peer.stream.released()
        case "FIN":
            await peer.stream.released()
        case _:
            peer.stream.abort()
    await peer.stream.closed()


@check(
    id="RL4",
    title="Headers that name another client change nothing",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.HIGH,
    references=("CWE-348", "ASVS-15.3.4"),
    remediation="Believe forwarding headers only from proxies that are configured by address.",
    cost_s=1.5,
    tier="destructive",
)
async def forged_headers(bench: Bench) -> None:
    """Who may say who he is has as many allowances as there are addresses.

    From one address as many pages are asked for as the profile promises, each naming another
    client in a header that proxies use: all must be served, and a next one refused whatever it
    names, by page and by handshake. The client that was named all the time must be served.
    """
    page, limit = counted_page(bench), int(bench.promised("requests_per_window"))
    address, victim = bench.own_address(), bench.own_address()
    started = bench.now()
    names = itertools.cycle(_forged(victim))
    answers = await ask_all(bench, [page.with_headers(next(names)) for _ in range(limit)], address)
    count = served(bench, answers)
    bench.judge(verdict_of(count == limit, f"{limit} served", f"{count} served"))
    for named in (victim, "198.51.100.7", "127.0.0.1"):
        for header in _forged(named):
            with bench.variant(f"{header[0]}: {header[1]}"):
                answer = await bench.ask(page.with_headers(header), address)
                bench.judge(beyond(bench, answer, started))
    token = await bench.token("publish")
    for header in _forged("198.51.100.8"):
        with bench.variant(f"handshake, {header[0]}"):
            attempt = await bench.attempt(
                token, without_message(bench), source=address, headers=[header]
            )
            bench.judge(beyond(bench, attempt.handshake, started))
    with bench.variant("the one who was named"):
        answer = await bench.ask(page, victim)
        bench.judge(answered(answer, (200,)))


def _forged(address: str) -> Sequence[tuple[str, str]]:
    return [(name, value.replace("{address}", address)) for name, value in _FORWARDING]


@check(
    id="RL5",
    title="One /64 of IPv6 is one client, and an IPv4-mapped address is its IPv4",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("CWE-770", "RFC4291-2.5.1", "RFC4291-2.5.5.2"),
    remediation="Count IPv6 by its first 64 bits, and IPv4-mapped addresses as IPv4.",
    cost_s=2.0,
    tier="destructive",
    variant="proxy",
)
async def one_prefix_is_one_client(bench: Bench) -> None:
    """Whoever has one line of IPv6 has 2⁶⁴ addresses: a limit for each of them limits nobody.

    Behind a trusted proxy, as many pages as the profile promises are asked for, each by another
    address of one /64: all must be served, the next refused; a neighbouring /64 must be served.
    The same with one IPv4 address, written plain and IPv4-mapped in turn.
    """
    header = bench.target.variants["proxy"].client_header
    if header is None:
        raise CannotTellError("the profile has no `variants.proxy.client_header`")
    prefix = f"2001:db8:{int(bench.now()) % 65_536:x}:"
    addresses = [f"{prefix}7:{n:x}::{n:x}" for n in range(1, 4_096)]
    await _shared(bench, header, "one /64", addresses, f"{prefix}8::1")
    plain, mapped = "198.51.100.7", ["::ffff:198.51.100.7", "::ffff:c633:6407"]
    await _shared(bench, header, "IPv4-mapped", [plain, *mapped] * 2_000, "::ffff:198.51.100.8")


async def _shared(
    bench: Bench, header: str, name: str, addresses: Sequence[str], other: str
) -> None:
    with bench.variant(name):
        page, limit = counted_page(bench), int(bench.promised("requests_per_window"))
        proxy, started = bench.own_address(), bench.now()
        requests = [page.with_headers((header, address)) for address in addresses[:limit]]
        count = served(bench, await ask_all(bench, requests, proxy))
        bench.judge(verdict_of(count == limit, f"{limit} served", f"{count} served"))
        refused = await bench.ask(page.with_headers((header, addresses[limit])), proxy)
        bench.judge(beyond(bench, refused, started))
        spared = await bench.ask(page.with_headers((header, other)), proxy)
        bench.judge(answered(spared, (200,)))


@check(
    id="RL6",
    title="Pages, handshakes of every way, and messages share one allowance",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("CWE-770", "ASVS-2.4.1"),
    remediation="Count in the one place all requests pass, before their kind is looked at.",
    cost_s=1.5,
    tier="destructive",
)
async def one_allowance(bench: Bench) -> None:
    """An allowance for each path or method is as large as the number of paths.

    From one address every counted kind of request is made: pages that exist and do not, with and
    without a query, handshakes by each way of authenticating, messages; together as many as the
    profile promises. All must be served, and then one of each kind be refused. Pages the profile
    names uncounted must still be served. Never are more connections open than promised, so that
    no refusal is for those.
    """
    limit, address = int(bench.promised("requests_per_window")), bench.own_address()
    started, counted = bench.now(), bench.promises.counted
    speaking, used = None, 0
    for method in bench.methods:
        if speaking is not None:
            await speaking.peer.stream.released()
        speaking = await bench.client("publish", method=method, source=address)
        used += ("handshake" in counted) + ("message" in counted and method == "message")
        if speaks(bench):
            used += len(await say_all(bench, speaking, limit // 8))
    paths = itertools.cycle(_pages(bench))
    requests = [next(paths) for _ in range(limit - used)]
    count = used + served(bench, await ask_all(bench, requests, address, held=1))
    bench.judge(verdict_of(count == limit, f"{limit} served", f"{count} served"))
    for request in _pages(bench):
        with bench.variant(f"then page {request.target}"):
            bench.judge(beyond(bench, await bench.ask(request, address), started))
    for method in bench.methods:
        with bench.variant(f"then handshake by {method}"):
            token = await bench.token("publish")
            attempt = await bench.attempt(token, method, source=address)
            bench.judge(beyond(bench, attempt.handshake, started))
    refusal = bench.answer("over_limit").error
    if speaks(bench) and refusal is not None and speaking is not None:
        with bench.variant("then a message"):
            said = await say(bench, speaking)
            if not said:
                bench.cannot_tell("the connection ended before it could be said")
            if refusal not in said:
                in_time(bench, started)
            bench.judge(verdict_of(refusal in said, f"a message with {refusal}", said or "silence"))
    for path in bench.target.pages.uncounted:
        with bench.variant(f"uncounted {path}"):
            bench.judge(answered(await bench.ask(bench.page_request(path), address), (200,)))


def _pages(bench: Bench) -> list[Request]:
    """Return requests for different pages, all of which count."""
    page = counted_page(bench)
    nowhere = bench.page_request(f"/{bench.mark()}")
    queried = bench.page_request(f"{page.target}?{bench.mark()}=1")
    return [page, nowhere, queried]
