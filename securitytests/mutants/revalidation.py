"""Flaws of revalidation: of what is looked at after a connection has begun."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant


@mutant(claim=Claim.REVALIDATION, caught_by=("SE2",), may=("SE1", "SE8"))
def silent_subscribers_never_expire(patch: Patch) -> None:
    """Expiry is looked at when a message comes, not before a delivery nor by a deadline."""
    patch.text("monitor.session:Session.due", "if self.expires_at <= now:", "if False:")
    patch.text("monitor.fanout:Fanout.flush", "if subscriber.expires_at <= now:", "if False:")


@mutant(claim=Claim.REVALIDATION, caught_by=("SE2",), may=("SE1", "SE8"))
def handshake_tokens_never_expire(patch: Patch) -> None:
    """A token of URL or header counts as long as its connection; one of a message expires."""
    patch.text(
        "monitor.session:Session.open",
        "return self._granted(grant, None, now)",
        "effects = self._granted(grant, None, now); self.expires_at = math.inf; return effects",
    )
