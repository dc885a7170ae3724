"""Flaws of resuming a stream."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_STREAM = "monitor.host:Monitor.stream"


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK6",))
def resuming_forgets_the_filter(patch: Patch) -> None:
    """Who resumes is sent everything, whatever it filters for."""
    patch.text(
        _STREAM,
        "self._fanout.subscribe(connection, stream.filter, since.offset)",
        "self._fanout.subscribe(connection, None, since.offset)",
    )


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK6",))
def states_after_a_lost_place_are_unfiltered(patch: Patch) -> None:
    """Who cannot resume is sent every state instead; a newcomer's filter holds."""
    patch.text(
        _STREAM,
        "self._fanout.start(connection, stream.filter, stream.ref)",
        "self._fanout.start(connection, stream.filter if since is None else None, stream.ref)",
    )


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK6",))
def resuming_needs_no_scope(patch: Patch) -> None:
    """The scope is looked at for a new subscription, not for one that is resumed."""
    patch.text(
        "monitor.session:Session._handle",
        "if Scope.SUBSCRIBE not in self.grant.scopes:",
        "if Scope.SUBSCRIBE not in self.grant.scopes and message.since is None:",
    )


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK6",), may=("AU7", "AZ*"))
def rights_once_had_stay(patch: Patch) -> None:
    """A later token adds to what an earlier one allowed on the same connection."""
    patch.text(
        "monitor.session:Session._renew",
        "self.grant = grant\n",
        "__import__('msgspec').structs.force_setattr("
        "grant, 'scopes', grant.scopes | self.grant.scopes); self.grant = grant\n",
    )
