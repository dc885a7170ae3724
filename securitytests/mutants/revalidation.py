"""Flaws of revalidation: of what is looked at after a connection has begun."""

import time
from collections.abc import Callable
from typing import Any

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_DUE = "monitor.session:Session.due"
_RECEIVE = "monitor.session:Session.receive"
_FLUSH = "monitor.fanout:Fanout.flush"
_RENEW = "monitor.session:Session._renew"
_EXPIRED = "if self.expires_at <= now:"
_TAKE_UP = "monitor.host:Monitor._take_up_revocations"
_REFUSED = "if self._authority.refuses(session.grant):"
_CLOSE = "connection.carry_out(session.revoked(now))"
_CARRIES_ONE = "if message.token is not None and not isinstance(message, wire.Auth):"


@mutant(claim=Claim.REVALIDATION, caught_by=("SE2",), may=("SE1", "SE8"))
def silent_subscribers_never_expire(patch: Patch) -> None:
    """Expiry is looked at when a message comes, not before a delivery nor by a deadline."""
    patch.text(_DUE, _EXPIRED, "if False:")
    patch.text(_FLUSH, "if subscriber.expires_at <= now:", "if False:")


@mutant(claim=Claim.REVALIDATION, caught_by=("SE2",), may=("SE1", "SE8"))
def handshake_tokens_never_expire(patch: Patch) -> None:
    """A token of URL or header counts as long as its connection; one of a message expires."""
    patch.text(
        "monitor.session:Session.open",
        "return self._granted(grant, None, now)",
        "effects = self._granted(grant, None, now); self.expires_at = math.inf; return effects",
    )


@mutant(claim=Claim.REVALIDATION, caught_by=("SE1",), may=("SE8",))
def talkers_never_expire(patch: Patch) -> None:
    """Expiry is a deadline of silent connections only: whoever spoke lately goes on."""
    patch.text(_DUE, _EXPIRED, "if self.expires_at <= now and now - self._activity > 1.0:")
    patch.text(_RECEIVE, _EXPIRED, "if False:")


@mutant(claim=Claim.REVALIDATION, caught_by=("SE1",), may=("SE8",))
def publishers_never_expire(patch: Patch) -> None:
    """Expiry is looked at for subscribers; a publisher's connection keeps what it was given."""
    only = "if self.expires_at <= now and Scope.PUBLISH not in self.grant.scopes:"
    patch.text(_DUE, _EXPIRED, only)
    patch.text(_RECEIVE, _EXPIRED, only)


@mutant(claim=Claim.REVALIDATION, caught_by=("SE1", "SE2"), may=("SE8",))
def expiry_has_leeway(patch: Patch) -> None:
    """A token counts five seconds longer than it says, on a connection that is open."""
    patch.text(
        "monitor.session:Session._expire_with",
        "self._rules.wall_time()",
        "self._rules.wall_time() + 5.0",
    )


@mutant(claim=Claim.REVALIDATION, caught_by=("SE3",), may=("SE4", "SE7"))
def revocation_at_the_handshake_only(patch: Patch) -> None:
    """A revoked token cannot come in again; whoever is in with it stays."""
    _spare(patch, "session.grant.subject not in self._authority._revocations._disabled")


@mutant(claim=Claim.REVALIDATION, caught_by=("SE3",), may=("SE4", "SE7"))
def revocation_closes_one_connection(patch: Patch) -> None:
    """Of the connections of a revoked token, the first that is found is closed."""
    patch.text(_TAKE_UP, _CLOSE, f"{_CLOSE}; break")


@mutant(claim=Claim.REVALIDATION, caught_by=("SE3", "SE4"), may=("SE7", "HT*", "AU*"))
def revoked_tokens_come_in_again(patch: Patch) -> None:
    """Revocation closes what is open, and is not asked for at a handshake."""
    patch.text(
        "monitor.authority:Authority.verify", "if self._revocations.refuses(grant):", "if False:"
    )


@mutant(claim=Claim.REVALIDATION, caught_by=("SE3",), may=("SE4", "SE7"))
def revoking_a_token_revokes_its_subject(patch: Patch) -> None:
    """Other tokens of the same subject lose their connections, too."""
    patch.text(
        _TAKE_UP,
        _REFUSED,
        "if session.grant.subject in {other.session.grant.subject for other in self._connections"
        " if other.session is not None and other.session.grant is not None"
        " and self._authority.refuses(other.session.grant)}:",
    )


@mutant(claim=Claim.REVALIDATION, caught_by=("SE4",), may=("SE3", "SE7"))
def disabled_subjects_keep_connections(patch: Patch) -> None:
    """A disabled subject cannot come in again; its connections stay."""
    _spare(patch, "session.grant.token_id not in self._authority._revocations._revoked")


@mutant(claim=Claim.REVALIDATION, caught_by=("SE4",), may=("SE3", "SE7"))
def disabled_publishers_stay(patch: Patch) -> None:
    """Disabling looks through the subscribers only."""
    _spare(patch, "'publish' in session.grant.scopes")


@mutant(claim=Claim.REVALIDATION, caught_by=("SE4",))
def disabling_goes_by_prefix(patch: Patch) -> None:
    """Disabling a subject disables every subject whose name begins with its name."""
    patch.text(
        "monitor.registry:Revocations.refuses",
        "grant.subject in self._disabled",
        "any(grant.subject.startswith(name) for name in self._disabled)",
    )


@mutant(claim=Claim.REVALIDATION, caught_by=("SE6",), may=("AZ6",))
def own_tokens_are_not_verified(patch: Patch) -> None:
    """A token in a later message is taken for decoration."""
    patch.text(_RECEIVE, _CARRIES_ONE, "if False:")


@mutant(claim=Claim.REVALIDATION, caught_by=("SE6",), may=("AZ6",))
def empty_own_tokens_pass(patch: Patch) -> None:
    """An empty token in a later message is taken for none."""
    patch.text(_RECEIVE, _CARRIES_ONE, "if message.token and not isinstance(message, wire.Auth):")


@mutant(claim=Claim.REVALIDATION, caught_by=("SE6",), may=("SE8", "AU*"))
def failed_renewal_is_ignored(patch: Patch) -> None:
    """A bad token in a later `auth` is answered as if it were good; the old grant goes on."""
    patch.text(
        _RENEW,
        "return self._refuse_authentication(str(error), message.ref, now)",
        "return [Send(self._auth_ok(self.grant, message.ref))]",
    )


@mutant(claim=Claim.REVALIDATION, caught_by=("SE6",), may=("AZ6",))
def own_tokens_are_verified_too_late(patch: Patch) -> None:
    """The connection is closed for a message's bad token after the event was stored."""
    patch.text(
        _RECEIVE,
        "return refused",
        "return self._publish(message, now) + refused if isinstance(message, wire.Publish)"
        " else refused",
    )


@mutant(claim=Claim.REVALIDATION, caught_by=("SE7",), may=("SE3", "SE4"))
def verified_tokens_are_cached(patch: Patch) -> None:
    """What a token grants is remembered for ten seconds, its revocation notwithstanding."""

    def caching(verify: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
        known: dict[str, tuple[float, Any]] = {}

        def verify_or_recall(authority: Any, token: str) -> Any:
            at, grant = known.get(token, (0.0, None))
            if time.monotonic() - at > 10.0:
                grant = verify(authority, token)
                known[token] = time.monotonic(), grant
            return grant

        return verify_or_recall

    patch.wrap("monitor.authority:Authority.verify", caching)


@mutant(claim=Claim.REVALIDATION, caught_by=("SE7",), may=("SE3", "SE4"))
def revocations_are_polled_rarely(patch: Patch) -> None:
    """The table of revocations is looked at every fifth second."""

    def rarely(poll: Callable[[Any], bool]) -> Callable[[Any], bool]:
        last = [time.monotonic()]

        def poll_if_due(authority: Any) -> bool:
            if time.monotonic() - last[0] < 5.0:
                return False
            last[0] = time.monotonic()
            return poll(authority)

        return poll_if_due

    patch.wrap("monitor.authority:Authority.poll", rarely)


@mutant(claim=Claim.REVALIDATION, caught_by=("SE7",), may=("SE3", "SE4"))
def talkers_are_not_looked_through(patch: Patch) -> None:
    """A connection with unread input or a publication under way is spared by a revocation."""
    _spare(patch, "now - session._activity < 0.2")


@mutant(claim=Claim.REVALIDATION, caught_by=("SE8",))
def renewal_lasts_forever(patch: Patch) -> None:
    """Who has authenticated twice is never asked again."""
    patch.text(_RENEW, "self._expire_with(grant, now)", "self.expires_at = math.inf")


@mutant(claim=Claim.REVALIDATION, caught_by=("SE8",))
def renewals_add_up(patch: Patch) -> None:
    """A renewal adds the fresh token's whole lifetime to what was left."""
    patch.text(
        _RENEW,
        "self._expire_with(grant, now)",
        "self.expires_at += 5 + grant.expires_at - grant.issued_at",
    )


@mutant(claim=Claim.REVALIDATION, caught_by=("SE8",), may=("TK*",))
def tokens_may_live_for_centuries(patch: Patch) -> None:
    """The lifetime of a token is not bounded."""
    patch.text(
        "monitor.tokens:_grant", "if not 0 < claims.exp - claims.iat <= MAX_TTL_S + 2:", "if False:"
    )


def _spare(patch: Patch, when: str) -> None:
    """Leave connections alone that this condition holds for, whatever became of their token."""
    patch.text(_TAKE_UP, _REFUSED, f"if {when}: continue\n        {_REFUSED}")
