"""Flaws of what is answered over HTTP."""

from collections.abc import Callable
from typing import Any

from securitytests.mutants.patch import Patch
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
