"""Tokens in URLs: what they leave behind, and whether there are any."""

import asyncio
import secrets

import msgspec

from monitor.contract.verdicts import Severity, Verdict
from securitytests.bench import Bench
from securitytests.catalogue.authentication.presenting import WAITING_S, good_token
from securitytests.check import Claim, check
from securitytests.judging import Judgement, verdict_of
from securitytests.probe.http import Request
from securitytests.probe.peer import Handshake

#: How much of a token must not be found: its end, which in a JWT is its signature.
_TELLING_CHARS = 20

#: Policies under which no URL's query is sent to another site (Referrer Policy, section 3).
_SILENT_POLICIES = frozenset(
    {
        "no-referrer",
        "same-origin",
        "origin",
        "strict-origin",
        "origin-when-cross-origin",
        "strict-origin-when-cross-origin",
    }
)


@check(
    id="AU10",
    title="A token in a URL stays out of logs, errors, metrics and Referer",
    claim=Claim.UNAUTHORIZED,
    severity=Severity.HIGH,
    references=("ASVS-16.2.5", "CWE-532", "CWE-598", "RFC6750-5.3"),
    remediation="Take the token out of the URL before anything else sees it; send no Referer.",
    cost_s=0.6,
    tier="gentle",
)
async def url_tokens_leave_no_trace(bench: Bench) -> None:
    """URLs are what is written down everywhere: logs, error pages, histories, other sites' logs.

    Good and bad tokens are shown in the URL of a handshake, of one from a foreign page, of an
    unknown path, of pages, with another method, with another version, and where nothing is HTTP.
    No answer may repeat a token; afterwards neither the log nor the pages of metrics and state may
    have it, and the page people open must forbid a Referer with it. A service that takes no token
    from the URL must not begin to.
    """
    shown = {"good": await good_token(bench), "bad": secrets.token_urlsafe(40)}
    requests = {
        f"{name}, {kind} token": (request, token)
        for kind, token in shown.items()
        for name, request in _requests(bench, token).items()
    }
    for name, (request, token) in requests.items():
        with bench.variant(f"answer to {name}"):
            bench.judge(_without(token, _text(await bench.ask(request))))
    with bench.variant("a token in the URL"):
        credentials = _in_url(bench, shown["good"])
        attempt = await bench.attempt_with(credentials, None, "query", watch_s=1.0)
        offered = "query" in bench.methods
        wanted = "accepted" if offered else "not accepted: it is not among the methods"
        bench.judge(verdict_of(attempt.accepted == offered, wanted, str(attempt)))
    places = {**await _pages(bench), "log": await asyncio.to_thread(bench.server.launch.logged)}
    for place, content in places.items():
        for kind, token in shown.items():
            with bench.variant(f"{place}, {kind} token"):
                bench.judge(_without(token, content))
    await _referer(bench, shown["bad"])


@check(
    id="AU11",
    title="No token is taken from a URL",
    claim=None,
    severity=Severity.MEDIUM,
    references=("ASVS-14.2.1", "CWE-598", "RFC6750-2.3"),
    remediation="Offer the header and the first message only; else waive this, dated, and say why.",
    cost_s=0.6,
    tier="gentle",
)
async def no_url_tokens(bench: Bench) -> None:
    """However careful the service, a URL is kept by browsers, proxies and whoever is sent it.

    A good token is shown in the URL of a handshake and must not be taken. A service that has to
    take it, for browsers can set no header on a WebSocket, waives this check in its profile until
    a day, with what makes up for it: short lives, no trace in logs, another way on offer.
    """
    if not bench.target.authentication.methods:
        bench.not_applicable("the service asks for no token")
    request = _in_url(bench, await good_token(bench))
    attempt = await bench.attempt_with(request, None, "query", watch_s=WAITING_S)
    bench.judge(verdict_of(not attempt.accepted, "not accepted", str(attempt)))


def _requests(bench: Bench, token: str) -> dict[str, Request]:
    """Return requests that carry a token in their URL, each refused or answered elsewhere."""
    good = _in_url(bench, token)
    query = good.target.partition("?")[2]
    requests = {
        "a foreign page": good.with_header("Origin", bench.target.origins.foreign[0]),
        "an unknown path": msgspec.structs.replace(good, target=f"/no-such-path?{query}"),
        "another method": msgspec.structs.replace(good, method="POST"),
        "another version": good.with_header("Sec-WebSocket-Version", "99"),
        "two tokens": msgspec.structs.replace(good, target=f"{good.target}&{query}"),
        "no HTTP": msgspec.structs.replace(good, version="HTTP/x"),
        "an unknown page": bench.page_request(f"/no-such-page?{query}"),
    }
    pages = bench.target.pages
    for path in filter(None, (pages.dashboard, pages.metrics, pages.state)):
        requests[path] = bench.page_request(f"{path}?{query}")
    return requests


def _in_url(bench: Bench, token: str) -> Request:
    return bench.handshake_request(query=f"{bench.target.authentication.query_parameter}={token}")


def _text(answer: Handshake) -> str:
    """Return all that an answer says."""
    if answer.response is None:
        return answer.instead
    said = [f"{name}: {value}" for name, value in answer.response.headers]
    said += [answer.response.reason, answer.response.body.decode("utf-8", "replace")]
    return "\n".join(said)


async def _pages(bench: Bench) -> dict[str, str | None]:
    """Return what the pages of metrics and state say; None where one does not answer."""
    found: dict[str, str | None] = {}
    for path in filter(None, (bench.target.pages.metrics, bench.target.pages.state)):
        is_open = path in bench.target.pages.open
        token = None if is_open else await bench.token("admin")
        answer = await bench.ask(bench.page_request(path, token))
        found[path] = _text(answer) if answer.status == 200 else None
    return found


async def _referer(bench: Bench, token: str) -> None:
    path = bench.target.pages.dashboard
    if path is None:
        return
    with bench.variant("Referer"):
        query = f"{bench.target.authentication.query_parameter}={token}"
        answer = await bench.ask(bench.page_request(f"{path}?{query}"))
        stated = None if answer.response is None else answer.response.header("Referrer-Policy")
        policies = [policy.strip().lower() for policy in (stated or "").split(",")]
        bench.judge(
            verdict_of(
                policies[-1] in _SILENT_POLICIES,
                "a Referrer-Policy that keeps the query from other sites",
                stated or f"none, with {answer}",
            )
        )


def _without(token: str, content: str | None) -> Judgement:
    if content is None:
        return Judgement(Verdict.INCONCLUSIVE, "something to look through", "it cannot be read")
    found = token[-_TELLING_CHARS:] in content
    return verdict_of(not found, "the token not to be found", "found" if found else "not found")
