"""Flaws of failed authentications: what they tell, how many there may be, what they leave."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_CLIENT = "monitor.admission:Admissions._client"
_READ = "monitor.handshake:read"
_FIRST = "monitor.session:Session._first"
_FAILED = "monitor.gate:Gate.failed"


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU8",))
def first_message_learns_the_reason(patch: Patch) -> None:
    """The error after a bad first message names the reason."""
    patch.text(
        _FIRST,
        "return self._refuse_authentication(str(error), message.ref, now)",
        "return self._refuse_authentication(error.reason.value, message.ref, now)",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU8",))
def size_tells_the_reason(patch: Patch) -> None:
    """The body of a refused handshake is a few bytes longer for a token that is well formed."""
    patch.text(
        "monitor.admission:Admissions._grant",
        'log.debug("authentication failed: %s", error.reason)',
        "self._reason = error.reason",
    )
    patch.text(
        "monitor.admission:Admissions._unauthorized",
        'text = "authentication failed"',
        'text = "authentication failed" + "." * (getattr(self, "_reason", "") != "malformed")',
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU8",), may=("SE*",))
def revoked_tokens_are_told(patch: Patch) -> None:
    """A revoked token in the first message is answered with a text of its own."""
    patch.text(
        _FIRST,
        "return self._refuse_authentication(str(error), message.ref, now)",
        "return self._refuse_authentication("
        "'revoked' if error.reason == 'revoked' else str(error), message.ref, now)",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU9",), may=("RL*",))
def failures_are_not_throttled(patch: Patch) -> None:
    """An address may fail without end."""
    patch.text(_FAILED, "wait = self._throttle.wait(key, now)", "wait = 0.0")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU9",), may=("RL*",))
def one_failure_more(patch: Patch) -> None:
    """An address may fail once more than promised."""
    patch.text(
        "monitor.limits:FailureThrottle.__init__",
        "RequestWindow(limit, ",
        "RequestWindow(limit + 1, ",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU9",), may=("RL*",))
def first_messages_are_not_throttled(patch: Patch) -> None:
    """Failures of first messages do not count."""
    patch.text(
        "monitor.session:Session._refuse_authentication",
        "wait = self._rules.failed(self._address, now)",
        "wait = 0.0",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU9",), may=("RL*",))
def pages_are_not_throttled(patch: Patch) -> None:
    """Bad tokens shown to pages do not count."""
    patch.text("monitor.admission:Admissions._page", "self._gate.failed(entered.key, now)", "0.0")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU9",), may=("RL*",))
def handshakes_and_messages_count_apart(patch: Patch) -> None:
    """Failures of first messages are counted beside those of handshakes, not with them."""
    patch.text(
        "monitor.session:Session._refuse_authentication",
        "self._rules.failed(self._address, now)",
        'self._rules.failed(f"{self._address} messages", now)',
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU10",), may=("LK*",))
def request_lines_are_logged(patch: Patch) -> None:
    """The log has the target of each request, query and all."""
    patch.text(
        "monitor.connection:Connection._requested",
        "refusal = self._host.identify(self, request) or self._refusal",
        "log.warning('asked for %s', request.path)\n"
        "    refusal = self._host.identify(self, request) or self._refusal",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU10",), may=("LK*",))
def refused_tokens_are_logged(patch: Patch) -> None:
    """The log has the tokens that were refused, and only those."""
    patch.text(
        _CLIENT,
        "wait = self._gate.failed(entered.key, now)",
        "log.warning('refused %s', asked.tokens); wait = self._gate.failed(entered.key, now)",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU10",), may=("LK*",))
def metrics_by_token(patch: Patch) -> None:
    """Failed authentications are counted by the token that was shown."""
    patch.text(
        _CLIENT,
        "wait = self._gate.failed(entered.key, now)",
        "self._incidents.refuse(str(asked.token), entered.key, now);"
        " wait = self._gate.failed(entered.key, now)",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU10",), may=("LK*", "HT*"))
def unknown_paths_are_repeated(patch: Patch) -> None:
    """The answer to an unknown path repeats what was asked for."""
    patch.text(
        _READ, "path=parts.path,", "path=parts.path if len(parts.path) < 9 else request.path,"
    )
    patch.text("monitor.pages:Pages.answer", '"no such page"', 'f"no such page: {path}"')


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU10",), may=("HT*",))
def referer_is_sent(patch: Patch) -> None:
    """The dashboard's URL goes to every site it links to."""
    patch.text(
        "monitor.pages:Answer.encode",
        "*_SECURITY_HEADERS,",
        "*(each.replace('no-referrer', 'unsafe-url') for each in _SECURITY_HEADERS),",
    )
