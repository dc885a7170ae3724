"""Flaws of what an operator is told."""

from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_REFUSE = "monitor.incidents:Incidents.refuse"
_EVICT = "monitor.incidents:Incidents.evict"


@mutant(claim=None, caught_by=("OP1",))
def failures_are_only_counted(patch: Patch) -> None:
    """The log says nothing of failed authentications until there are too many."""
    patch.text(
        _REFUSE, "if told is not None:", 'if told is not None and reason != "authentication":'
    )


@mutant(claim=None, caught_by=("OP1",))
def limit_hits_are_only_logged(patch: Patch) -> None:
    """No metric counts requests over the limit."""
    patch.text(
        _REFUSE,
        "self._metrics.refuse(reason)",
        'reason == "requests" or self._metrics.refuse(reason)',
    )


@mutant(claim=None, caught_by=("OP1",))
def first_messages_fail_unseen(patch: Patch) -> None:
    """Nobody is told of a bad token in a first message; of one in a handshake they are."""
    patch.text(
        "monitor.host:Monitor.failed",
        'self._incidents.refuse("failures" if wait > 0 else "authentication", address, now)',
        'wait > 0 and self._incidents.refuse("failures", address, now)',
    )


@mutant(claim=None, caught_by=("OP1",))
def evictions_are_only_counted(patch: Patch) -> None:
    """The log says nothing of connections that the server ends."""
    patch.text(_EVICT, 'self.note(who, f"connection closed: {why}", now)', "pass")


@mutant(claim=None, caught_by=("OP1",))
def evictions_of_the_unseen_are_forgotten(patch: Patch) -> None:
    """No metric counts connections that missed a deadline; revoked ones it does."""
    patch.text(
        _EVICT, "self._metrics.evict(reason)", 'reason == "deadline" or self._metrics.evict(reason)'
    )


@mutant(claim=None, caught_by=("OP1",))
def quota_lines_name_nobody(patch: Patch) -> None:
    """The log does not say whose quota is used up."""
    patch.text("monitor.host:Monitor.quota", 'f"subject {subject}"', '"a subject"')
