"""What headers tell a browser that it may do."""

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import check
from securitytests.judging import Judgement, verdict_of
from securitytests.probe.http import Request, Response

_FOREIGN = "https://attacker.example"

#: Policies under which no other origin is told the query of a URL.
_DISCREET = {"no-referrer", "same-origin", "origin", "strict-origin"}


async def _requests(bench: Bench) -> dict[str, Request]:
    pages = bench.target.pages
    token = await bench.token("admin") if pages.metrics or pages.state else None
    shown = {name: getattr(pages, name) for name in ("dashboard", "metrics", "state")}
    found = {name: bench.page_request(path, token) for name, path in shown.items() if path}
    found |= {path: bench.page_request(path) for path in pages.open}
    return {**found, "missing page": bench.page_request("/there-is-no-such-page")}


@check(
    id="HT3",
    title="No foreign page may read an answer",
    claim=None,
    severity=Severity.MEDIUM,
    references=("ASVS-3.4.2", "CWE-942"),
    remediation="Send no Access-Control-Allow-Origin, or one of a list of trusted origins.",
    cost_s=0.3,
    tier="gentle",
)
async def cross_origin(bench: Bench) -> None:
    """A page that may read another's answers reads them with its visitor's rights.

    Every page is asked for as a foreign page would: no answer may name that origin, `null`, or,
    where a token was shown, everybody.
    """
    for name, request in (await _requests(bench)).items():
        for origin in (bench.target.origins.foreign or (_FOREIGN,))[0], "null":
            with bench.variant(f"{name}, {origin}"):
                response = (await bench.ask(request.with_header("Origin", origin))).response
                if response is None:
                    bench.cannot_tell("no answer")
                allowed = response.header("Access-Control-Allow-Origin")
                bad = {origin} if "Authorization" not in dict(request.headers) else {origin, "*"}
                wanted = "no leave to read it"
                bench.judge(verdict_of(allowed not in bad, wanted, str(allowed)))


@check(
    id="HT4",
    title="The dashboard's answers bind the browser",
    claim=None,
    severity=Severity.MEDIUM,
    references=("ASVS-3.4.3", "ASVS-3.4.4", "ASVS-3.4.5", "ASVS-3.4.6", "ASVS-14.3.2"),
    remediation="Put one set of security headers on every answer, errors included.",
    cost_s=0.3,
    tier="gentle",
)
async def security_headers(bench: Bench) -> None:
    """What a page does not forbid the browser, text in it may do one day.

    Every page, an error and guarded pages must have a Content-Security-Policy without inline or
    foreign scripts, plug-ins, base or framing; nosniff; a Referrer-Policy that tells no other site
    the query; and no-store.
    """
    if bench.target.pages.dashboard is None:
        bench.not_applicable("the profile has no `pages.dashboard`: no page is shown to people")
    for name, request in (await _requests(bench)).items():
        with bench.variant(name):
            response = (await bench.ask(request)).response
            if response is None:
                bench.cannot_tell("no answer")
            bench.judge(*_binding(response))


def _binding(response: Response) -> tuple[Judgement, ...]:
    policy = {
        part.split()[0].lower(): part.split()[1:]
        for part in (response.header("Content-Security-Policy") or "").split(";")
        if part.strip()
    }
    default = policy.get("default-src", ["*"])
    scripts = policy.get("script-src", default)
    nosniff = (response.header("X-Content-Type-Options") or "").lower()
    referrer = (response.header("Referrer-Policy") or "").lower()
    cache = (response.header("Cache-Control") or "").lower()
    strict = not {"*", "'unsafe-inline'", "'unsafe-eval'", "http:", "https:", "data:"} & {*scripts}
    return (
        verdict_of(strict, "scripts of its own only", f"script-src {' '.join(scripts)}"),
        verdict_of(
            policy.get("object-src", default) == ["'none'"], "object-src 'none'", str(default)
        ),
        verdict_of(
            policy.get("base-uri") == ["'none'"], "base-uri 'none'", str(policy.get("base-uri"))
        ),
        verdict_of(
            policy.get("frame-ancestors") in (["'none'"], ["'self'"]),
            "frame-ancestors 'none' or 'self'",
            str(policy.get("frame-ancestors")),
        ),
        verdict_of(nosniff == "nosniff", "X-Content-Type-Options: nosniff", nosniff or "none"),
        verdict_of(referrer in _DISCREET, "a discreet Referrer-Policy", referrer or "none"),
        verdict_of("no-store" in cache, "Cache-Control: no-store", cache or "none"),
    )
