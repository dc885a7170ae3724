"""Flaws of the idle timeout."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant


@mutant(claim=Claim.IDLE, caught_by=("ID1",), may=("ID*",))
def pongs_are_activity(patch: Patch) -> None:
    """A client that only answers pings is never idle."""
    patch.text(
        "monitor.session:Session.pong",
        "self._ping_answered = True",
        "self._ping_answered = True; self._activity = max(self._activity, self._ping_sent)",
    )


@mutant(claim=Claim.IDLE, caught_by=("ID1",), may=("ID*",))
def idle_closes_as_going_away(patch: Patch) -> None:
    """The idle timeout closes with another code than promised."""
    patch.text(
        "monitor.session:Session.due",
        'CloseCode.DEADLINE, "idle timeout"',
        'CloseCode.GOING_AWAY, "idle timeout"',
    )
