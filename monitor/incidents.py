"""Tells the operator who is refused, and why, and whom the server sends away, in bounded lines.

A flood shows from its first refusal on, and does not fill the log: the first of an address and a
reason is told at once, those that follow by one line a minute with their number. Knows no socket;
the clock is passed in.
"""

import logging

from monitor.metrics import Metrics

log = logging.getLogger("monitor.incidents")

#: Refusals an operator is told of, by the reason they are counted under; the others only say that
#: a client is wrongly made, or are told where they are decided.
_TOLD_REASONS = {
    "authentication": "authentication failed",
    "failures": "refused after too many failed authentications",
    "forbidden": "asked for what its token does not allow",
    "requests": "over the limit of requests",
    "connections": "over the limit of connections",
    "quota": "over the quota of events",
    "server_full": "refused, as the server is full",
}

#: How long what happens again is only counted.
TOLD_EVERY_S = 60.0

#: Addresses and reasons told apart within that time; those of more are told as one number.
MAX_TOLD = 256


class Incidents:
    """Counts refusals and evictions, and knows what has been told of whom in the minute that runs.

    Args:
        metrics: where they are counted.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._again: dict[tuple[str, str], int] = {}
        self._others = 0
        self._ends_at = 0.0

    def refuse(self, reason: str, who: str, now: float) -> None:
        """Count the refusal of a request, a message or a connection of `who`."""
        self._metrics.refuse(reason)
        told = _TOLD_REASONS.get(reason)
        if told is not None:
            self.note(who, told, now)

    def evict(self, reason: str, why: str, who: str, now: float) -> None:
        """Count a connection of `who` that the server ends; `why` is one of the server's words."""
        self._metrics.evict(reason)
        self.note(who, f"connection closed: {why}", now)

    def note(self, who: str, what: str, now: float) -> None:
        """Tell of something that happened to `who`, or count it if it has been told of."""
        if now >= self._ends_at:
            self.sweep(now)
            self._ends_at = now + TOLD_EVERY_S
        again = self._again.get((who, what))
        if again is not None:
            self._again[who, what] = again + 1
        elif len(self._again) < MAX_TOLD:
            self._again[who, what] = 0
            log.info("%s: %s", who, what)
        else:
            self._others += 1

    def sweep(self, now: float) -> None:
        """Once the minute is over, tell how often things happened again in it."""
        if now < self._ends_at or not self._again:
            return
        for (who, what), again in self._again.items():
            if again:
                log.info("%s: %s, %d more in %g s", who, what, again, TOLD_EVERY_S)
        if self._others:
            log.info("of further addresses: %d refused or sent away", self._others)
        # What goes on is told by its number alone.
        self._again = {told: 0 for told, again in self._again.items() if again}
        self._others = 0
        self._ends_at = now + TOLD_EVERY_S
