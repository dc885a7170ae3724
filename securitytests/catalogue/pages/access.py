"""Which pages are shown to whom, and by which methods."""

import asyncio
import re
import secrets

import msgspec

from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import check
from securitytests.judging import verdict_of
from securitytests.probe.http import Request
from securitytests.probe.peer import Handshake

_GUARDED_KINDS = ("metrics", "state")

#: Where frameworks put what is for developers.
_DEBUG = (
    "/debug",
    "/debug/pprof/",
    "/admin",
    "/console",
    "/server-status",
    "/.git/config",
    "/.env",
)

_VERSION = re.compile(
    r"(python|cpython|websockets|uvicorn|aiohttp|wsproto|starlette|nginx|apache|node|express|php)"
    r"[/ ]v?[0-9]+[.][0-9]+",
    re.IGNORECASE,
)

#: Methods that no page and no socket uses; others a broker may publish by, beside its socket.
_NEVER = ("TRACE", "CONNECT", "FROBNICATE")

_METHODS = (*_NEVER, "POST", "PUT", "PATCH", "DELETE")

_TRAVERSALS = (
    "/../../../../../../../../etc/passwd",
    "/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/%252e%252e/%252e%252e/%252e%252e/%252e%252e/%252e%252e/etc/passwd",
    "//etc/passwd",
    "/index.html/../../../../../../../../etc/passwd",
    "/..\\..\\..\\..\\..\\..\\etc\\passwd",
    "/....//....//....//....//....//....//etc/passwd",
)


def _guarded(bench: Bench) -> dict[str, str]:
    pages = bench.target.pages
    named = {name: getattr(pages, name) for name in _GUARDED_KINDS}
    return {name: path for name, path in named.items() if path and path not in pages.open}


def _body(answer: Handshake) -> str:
    return "" if answer.response is None else answer.response.body.decode("utf-8", "replace")


async def _fallback(bench: Bench) -> str:
    """Return what a page is that does not exist: some services show one page for all."""
    return _body(await bench.ask(bench.page_request(f"/{secrets.token_hex(8)}")))


@check(
    id="HT1",
    title="Metrics, state and debugging pages need their token",
    claim=None,
    severity=Severity.HIGH,
    references=("ASVS-13.4.5", "CWE-306"),
    remediation="Guard monitoring pages with a scope of their own; serve no debugging pages.",
    cost_s=0.5,
    tier="gentle",
)
async def guarded_pages(bench: Bench) -> None:
    """Metrics tell who is there and how much a service bears; state tells what it works on.

    The pages of metrics and state are asked for without a token, with a wrong one, and with one
    that may only subscribe: each must be refused as `answers.unauthenticated` or `forbidden` says.
    With the right one each must be shown. Usual debugging paths must not be there.
    """
    pages = _guarded(bench)
    if not pages:
        bench.not_applicable("the profile has no page of metrics or state that needs a token")
    unknown, forbidden = bench.answer("unauthenticated"), bench.answer("forbidden")
    subscriber, admin = await bench.token("subscribe"), await bench.token("admin")
    tries = {
        "no token": (None, unknown.status),
        "a wrong token": ("wrong", unknown.status),
        "of another scope": (subscriber, (*forbidden.status, *unknown.status)),
        "the right token": (admin, (200,)),
    }
    for page, path in pages.items():
        for name, (token, statuses) in tries.items():
            with bench.variant(f"{page}, {name}"):
                answer = await bench.ask(bench.page_request(path, token))
                wanted = "HTTP " + " or ".join(map(str, statuses))
                bench.judge(verdict_of(answer.status in statuses, wanted, str(answer)))
    nothing = await _fallback(bench)
    for path in _DEBUG:
        with bench.variant(path):
            answer = await bench.ask(bench.page_request(path))
            hidden = answer.status != 200 or _body(answer) == nothing
            bench.judge(verdict_of(hidden, "no such page", str(answer)))


@check(
    id="HT2",
    title="TRACE and methods that nothing uses are refused",
    claim=None,
    severity=Severity.LOW,
    references=("ASVS-13.4.4", "ASVS-4.1.4"),
    remediation="Answer every method but those in use with 405.",
    cost_s=0.5,
    tier="gentle",
)
async def unused_methods(bench: Bench) -> None:
    """A method nobody thought of is handled by what nobody thought of.

    An open page and the path of the socket are asked for with TRACE, methods that change things,
    and one that does not exist: none may succeed, and no header may come back.
    """
    marker = secrets.token_hex(8)
    paths = dict.fromkeys(
        (bench.server.endpoint.target.partition("?")[0], *bench.target.pages.open)
    )

    async def ask(method: str, path: str) -> None:
        with bench.variant(f"{method} {path}"):
            good = bench.page_request(path, headers=[("X-Marker", marker)])
            answer = await bench.ask(_by_method(good, method))
            ok = (answer.status is None or answer.status >= 400) and marker not in _body(answer)
            bench.judge(verdict_of(ok, "refused, nothing echoed", str(answer)))

    socket, opened = next(iter(paths)), bench.target.pages.open
    never = [(method, socket) for method in _NEVER if socket not in opened]
    tries = [*never, *((method, path) for method in _METHODS for path in opened)]
    await asyncio.gather(*(ask(method, path) for method, path in tries))


def _by_method(request: Request, method: str) -> Request:
    return msgspec.structs.replace(request, method=method)


@check(
    id="HT6",
    title="No answer tells the version of what is behind it",
    claim=None,
    severity=Severity.LOW,
    references=("ASVS-13.4.6", "CWE-497"),
    remediation="Send no Server or X-Powered-By header with a version; word errors yourself.",
    cost_s=0.3,
    tier="gentle",
)
async def versions(bench: Bench) -> None:
    """A version is a list of known holes.

    Neither the headers Server, X-Powered-By and Via nor the body of an error may name software with
    a version: of an upgrade, of pages, of a missing page, of a bad handshake.
    """
    token = await bench.token()
    socket = bench.handshake_request(bench.credentials(token))
    requests = {
        "upgrade": socket,
        "bad version": socket.with_header("Sec-WebSocket-Version", "99"),
        "bad key": socket.without("Sec-WebSocket-Key"),
        "missing page": bench.page_request(f"/{secrets.token_hex(8)}"),
        "malformed": _by_method(bench.page_request("/"), "no method"),
        **{path: bench.page_request(path) for path in bench.target.pages.open},
    }
    for name, request in requests.items():
        with bench.variant(name):
            response = (await bench.ask(request)).response
            if response is None:
                continue
            headers = [response.header(one) or "" for one in ("Server", "X-Powered-By", "Via")]
            said = " ".join([*headers, response.body.decode("utf-8", "replace")])
            found = _VERSION.search(said)
            bench.judge(verdict_of(found is None, "no version", found[0] if found else "none"))


@check(
    id="HT7",
    title="No path leads out of the folder of the pages",
    claim=None,
    severity=Severity.HIGH,
    references=("ASVS-5.3.2", "CWE-22"),
    remediation="Serve a closed list of files; never join a request's path to a folder.",
    cost_s=0.3,
    tier="gentle",
)
async def traversal(bench: Bench) -> None:
    """What can read one file of the machine can read the signing key.

    `/etc/passwd` is asked for by paths with dots, percent-encoded once and twice, with backslashes
    and doubled slashes. No answer may have it.
    """
    for path in _TRAVERSALS:
        with bench.variant(path):
            answer = await bench.ask(bench.page_request(path))
            found = "root:" in _body(answer)
            bench.judge(verdict_of(not found, "not that file", "it" if found else str(answer)))
