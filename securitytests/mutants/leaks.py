"""Flaws of redaction."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK1",), may=("LK*",))
def no_redaction(patch: Patch) -> None:
    """Free text passes as it is."""
    patch.text("monitor.redaction:redact", "text, plain = _redact_plain(text)", "return text, 0")


@mutant(claim=Claim.NO_LEAKS, caught_by=("LK1",), may=("LK*",))
def refused_events_are_logged(patch: Patch) -> None:
    """The log quotes each publication as it came."""
    patch.text(
        "monitor.session:Session.receive",
        "self._activity = now",
        "self._activity = now; __import__('logging').getLogger('monitor').info('heard %s', text)",
    )
