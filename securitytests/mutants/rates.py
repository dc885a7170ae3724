"""Flaws of the request window."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_HIT = "monitor.limits:RequestWindow.hit"


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL1",), may=("RL*", "AU9"))
def one_request_more(patch: Patch) -> None:
    """The window admits one request more than promised."""
    patch.text(_HIT, "if len(times) == self.limit:", "if len(times) == self.limit + 1:")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL1",), may=("RL*", "AU9"))
def one_request_fewer(patch: Patch) -> None:
    """The window admits one request fewer than promised."""
    patch.text(_HIT, "if len(times) == self.limit:", "if len(times) == self.limit - 1:")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("RL1",), may=("RL*",))
def retry_too_soon(patch: Patch) -> None:
    """Retry-After names half of the time that has to pass."""
    patch.text("monitor.limits:_until", "return wait", "return wait / 2")
