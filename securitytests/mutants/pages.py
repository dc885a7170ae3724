"""Flaws of what is answered over HTTP."""

from collections.abc import Callable
from typing import Any

from securitytests.mutants.patch import MutantDefectError, Patch
from securitytests.mutants.registry import mutant

_PAGE = "monitor.admission:Admissions._page"
_HEADERS = "monitor.pages:_SECURITY_HEADERS"
_POLICY = "Content-Security-Policy: default-src 'none'; script-src 'self'; base-uri 'none'"
_OTHERS = (
    "X-Content-Type-Options: nosniff",
    "Referrer-Policy: no-referrer",
    "Cache-Control: no-store",
)


@mutant(claim=None, caught_by=("HT1",), may=("HT*", "AZ1"))
def metrics_need_no_token(patch: Patch) -> None:
    """The page of metrics is shown to everybody."""
    patch.text("monitor.pages:Pages.needs_token", "path in self._guarded", 'path == "/state"')


@mutant(claim=None, caught_by=("HT1",), may=("HT*", "AZ1"))
def any_token_opens_pages(patch: Patch) -> None:
    """Metrics and state are shown to whoever has a token, whatever its scope."""
    patch.text(_PAGE, "if Scope.ADMIN not in grant.scopes:", "if False:")


@mutant(claim=None, caught_by=("HT2",), may=("HS5", "HS9"))
def other_methods_are_answered(patch: Patch) -> None:
    """TRACE, POST and the others are answered with success."""
    patch.text("monitor.handshake:_not_get", "return problem(405,", "return problem(200,")


@mutant(claim=None, caught_by=("HT3",), may=("HT*",))
def origin_is_reflected(patch: Patch) -> None:
    """Any page of another origin may read the answers."""

    def reflecting(judge: Callable[..., Any]) -> Callable[..., Any]:
        def reflected(self: Any, asked: Any, *rest: Any) -> Any:
            answer = judge(self, asked, *rest)
            if hasattr(answer, "status") and asked.origin:
                headers = {**answer.headers, "Access-Control-Allow-Origin": asked.origin}
                return type(answer)(answer.status, answer.body, answer.content_type, headers)
            return answer

        return reflected

    patch.wrap("monitor.admission:Admissions.judge", reflecting)


@mutant(claim=None, caught_by=("HT4",), may=("HT5",))
def pages_may_be_framed(patch: Patch) -> None:
    """The content policy does not say who may frame a page."""
    patch.value(_HEADERS, (_POLICY, *_OTHERS))


@mutant(claim=None, caught_by=("HT4",), may=("HT5",))
def inline_scripts_run(patch: Patch) -> None:
    """The content policy lets inline scripts run."""
    policy = _POLICY.replace("'self'", "'self' 'unsafe-inline'") + "; frame-ancestors 'none'"
    patch.value(_HEADERS, (policy, *_OTHERS))


@mutant(claim=None, caught_by=("HT4",))
def errors_bind_nothing(patch: Patch) -> None:
    """Only answers of success have the security headers."""
    patch.text(
        "monitor.pages:Answer.encode",
        "*_SECURITY_HEADERS",
        "*(_SECURITY_HEADERS if self.status == 200 else ())",
    )


@mutant(claim=None, caught_by=("HT6",))
def version_in_every_answer(patch: Patch) -> None:
    """Each answer names the software and its version."""
    patch.text(
        "monitor.pages:Answer.encode",
        '{"Connection": "close",',
        '{"Connection": "close", "Server": "Python/3.11 websockets/17.4",',
    )


@mutant(claim=None, caught_by=("HT7",))
def files_are_read_by_path(patch: Patch) -> None:
    """A path is joined to the folder of the pages."""
    patch.text(
        "monitor.pages:Pages.answer",
        "file = self._files.get(path)",
        "asked = _DASHBOARD / ('.' + path);"
        " file = ('text/plain', asked.read_bytes()) if asked.is_file() else None",
    )


def _dashboard_so(patch: Patch, old: str, new: str) -> None:
    """Serve the dashboard with one snippet of what draws it replaced; it must stand there once."""

    def wrapper(read: Callable[[], dict[str, tuple[str, bytes]]]) -> Callable[[], Any]:
        files = read()
        kind, script = files["/views.js"]
        if script.count(old.encode()) != 1:
            raise MutantDefectError(f"mutant: views.js does not have once: {old!r}")
        return lambda: {**files, "/views.js": (kind, script.replace(old.encode(), new.encode()))}

    patch.wrap("monitor.pages:_read_dashboard", wrapper)


@mutant(claim=None, caught_by=("HT5",))
def words_become_markup(patch: Patch) -> None:
    """What the page shows beside a phase's name is put into it as markup."""
    _dashboard_so(patch, "!== text) node.textContent = text", "!== text) node.innerHTML = text")


@mutant(claim=None, caught_by=("HT5",))
def errors_become_markup(patch: Patch) -> None:
    """The error of a failed phase is put into the page as markup; all else is text."""
    _dashboard_so(patch, "this.error.textContent = error;", "this.error.innerHTML = error;")


@mutant(claim=None, caught_by=("HT5",))
def paths_become_links(patch: Patch) -> None:
    """The path of a checkpoint is a link, whatever it begins with."""
    text = 'row.append(element("span", "text", wording(event)));'
    link = 'const link = element("a", "text", wording(event));'
    _dashboard_so(patch, text, f"{link} if (event.path) link.href = event.path; row.append(link);")


@mutant(claim=None, caught_by=("HT5",))
def names_of_runs_become_markup(patch: Patch) -> None:
    """The runs one can choose among are written as markup."""
    options = "options.map(([value, text]) => {}"
    plain = f"select.replaceChildren(...{options.format('new Option(text, value)));')}"
    made = options.format('`<option value="${value}">${text}`).join("");')
    _dashboard_so(patch, plain, f"select.innerHTML = {made}")
