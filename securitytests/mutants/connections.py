"""Flaws of the connection slots and of letting go."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_ACQUIRE = "monitor.limits:ConnectionSlots.acquire"
_LEAVE = "monitor.host:Monitor.leave"
_GIVE_BACK = "self._gate.leave(connection.entered, self.now())"
_DUE = "monitor.session:Session.due"


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("CN1",), may=("CN*",))
def one_connection_more(patch: Patch) -> None:
    """An address gets one connection more than promised."""
    patch.text(_ACQUIRE, "held >= self._per_key", "held > self._per_key")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("CN1",), may=("CN*",))
def reset_keeps_the_slot(patch: Patch) -> None:
    """A connection that is reset leaves its slot taken."""
    patch.text(
        "monitor.connection:Connection.connection_lost",
        "self._host.leave(self)",
        "exc is None and self._host.leave(self)",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("CN2",), may=("CN*",))
def slot_is_taken_after_the_handshake(patch: Patch) -> None:
    """The count is looked at when a connection comes, and raised 20 ms later."""
    patch.text(
        _ACQUIRE,
        "self._held[key] = held + 1",
        "__import__('asyncio').get_running_loop().call_later("
        "0.02, lambda: self._held.__setitem__(key, self._held.get(key, 0) + 1))",
    )
    patch.text("monitor.limits:ConnectionSlots.release", "if not held:", "if held <= -50:")
    patch.text("monitor.limits:ConnectionSlots.release", "if held == 1:", "if False:")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("CN3",))
def no_handshake_deadline(patch: Patch) -> None:
    """A connection that never finishes its request is kept."""
    patch.text("monitor.connection:Connection.check", "if now >= self._deadline:", "if False:")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("CN3",))
def each_byte_extends_the_handshake(patch: Patch) -> None:
    """The handshake deadline counts from the last byte that came."""
    patch.text(
        "monitor.connection:Connection._request",
        "if len(self._start) < _METHOD_BYTES:",
        "self._deadline = self._host.now() + self._host.settings.handshake_timeout_s\n"
        "    if len(self._start) < _METHOD_BYTES:",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("CN3",), may=("CN*", "RL*"))
def half_open_connections_are_free(patch: Patch) -> None:
    """A connection takes up a slot once its request is there."""
    patch.text("monitor.host:Monitor.enter", "if self._gate.proxied(peer):", "if True:")
    patch.text(
        "monitor.host:Monitor.identify",
        "if not self._gate.proxied(connection.peer):",
        "if connection.entered.unnamed:\n"
        "        self._gate.leave_slot(connection.entered)\n"
        "        self._gate._take_slot(connection.entered)\n"
        "    if True:\n        return self._without_slot(connection)\n    if False:",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("CN4",), may=("ID2",))
def no_ping_deadline(patch: Patch) -> None:
    """Whoever answers no ping is pinged on."""
    patch.text(_DUE, "if now >= self._ping_sent + settings.ping_timeout_s:", "if False:")
    patch.text(_DUE, "if now >= self._activity + settings.idle_timeout_s:", "if False:")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("CN4",), may=("CN*", "ID2"))
def stalled_peers_are_waited_for(patch: Patch) -> None:
    """The ping deadline closes, and the transport is kept until the peer has closed as well."""
    patch.text(_DUE, "return [Abort()] if late else []", "return []")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("CN5",), may=("CN*", "AU*"))
def failed_messages_keep_the_slot(patch: Patch) -> None:
    """Who fails to authenticate by a message leaves its slot taken."""
    patch.text(
        _LEAVE,
        _GIVE_BACK,
        f"None if connection.session is not None and connection.session.grant is None"
        f" else {_GIVE_BACK}",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("CN5",), may=("CN*", "AU*", "RL*", "HT*"))
def refused_requests_keep_the_slot(patch: Patch) -> None:
    """A request that is answered instead of upgraded leaves its slot taken."""
    patch.text(_LEAVE, _GIVE_BACK, f"None if connection.session is None else {_GIVE_BACK}")


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("CN6",), may=("CN*",))
def close_waits_for_ever(patch: Patch) -> None:
    """A peer that has been sent a close frame is kept until it answers."""
    patch.text(
        _DUE,
        "late = now >= self.closing_since + self._close_within",
        "late = False",
    )


@mutant(claim=Claim.DENIAL_OF_SERVICE, caught_by=("CN6",), may=("CN*",))
def pongs_put_off_the_close(patch: Patch) -> None:
    """Whatever a closing peer sends gives it the close deadline anew."""
    patch.text(
        "monitor.connection:Connection.data_received",
        "if self._ended:",
        "if self.session is not None and self.session.closing_since is not None:"
        " self.session.closing_since = self._host.now()\n    if self._ended:",
    )
