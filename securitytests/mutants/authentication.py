"""Flaws of authentication."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_ANYONE = (
    "__import__('monitor.tokens', fromlist=['Grant']).Grant("
    "'anyone', frozenset({Scope.SUBSCRIBE}), '0' * 32, 0.0, 4e9)"
)


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU1",), may=("AU*", "TK*"))
def anonymous_subscribers(patch: Patch) -> None:
    """A handshake without a token is a subscriber's."""
    patch.text(
        "monitor.admission:Admissions._client",
        "session.open(None, now)",
        f"session.open({_ANYONE}, now)",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU1",), may=("AU*", "TK*"))
def first_message_needs_no_token(patch: Patch) -> None:
    """Whoever begins with another message than `auth` is a subscriber: only the message way."""
    patch.text(
        "monitor.session:Session._first",
        'text = "authenticate first: send {type: auth, token}"',
        f"return self._granted({_ANYONE}, message.ref, now)",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU1",), may=("AU*", "LK*"))
def stream_before_authentication(patch: Patch) -> None:
    """Events flow while the server still waits for `auth`."""
    patch.text(
        "monitor.session:Session.open",
        'return [Send(wire.encode("auth_required"))]',
        'return [Send(wire.encode("auth_required")), Stream(None)]',
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU5",), may=("CN*",))
def no_authentication_deadline(patch: Patch) -> None:
    """Who never authenticates is never closed."""
    patch.text(
        "monitor.session:Session.due",
        "if now - self._opened >= settings.authentication_timeout_s:",
        "if False:",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("AU5",), may=("CN*",))
def authentication_deadline_doubled(patch: Patch) -> None:
    """The authentication deadline is twice what is promised."""
    patch.text(
        "monitor.session:Session.due",
        "settings.authentication_timeout_s:",
        "2 * settings.authentication_timeout_s:",
    )
