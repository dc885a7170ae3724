"""Flaws of the handshake."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_FOREIGN = "if asked.upgrade and asked.foreign:"


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS1",), may=("HS2", "HS4"))
def any_origin(patch: Patch) -> None:
    """Origin is not looked at."""
    patch.text("monitor.admission:Admissions.judge", _FOREIGN, "if False:")


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS1",), may=("HS2", "HS4"))
def token_excuses_origin(patch: Patch) -> None:
    """A foreign page may connect if it shows a token in URL or header."""
    patch.text(
        "monitor.admission:Admissions.judge",
        _FOREIGN,
        "if asked.upgrade and asked.foreign and asked.token is None:",
    )


@mutant(claim=Claim.UNAUTHORIZED, caught_by=("HS5",))
def any_version(patch: Patch) -> None:
    """Every Sec-WebSocket-Version is taken for 13."""
    patch.text(
        "monitor.connection:Connection._requested",
        "response = self._protocol.accept(request)",
        'del request.headers["Sec-WebSocket-Version"];'
        ' request.headers["Sec-WebSocket-Version"] = "13";'
        " response = self._protocol.accept(request)",
    )
