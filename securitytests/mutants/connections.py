"""Flaws of the connection slots."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("CN1",), may=("CN*",))
def one_connection_more(patch: Patch) -> None:
    """An address gets one connection more than promised."""
    patch.text(
        "monitor.limits:ConnectionSlots.acquire", "held >= self._per_key", "held > self._per_key"
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("CN1",), may=("CN*",))
def reset_keeps_the_slot(patch: Patch) -> None:
    """A connection that is reset leaves its slot taken."""
    patch.text(
        "monitor.connection:Connection.connection_lost",
        "self._host.leave(self)",
        "exc is None and self._host.leave(self)",
    )
