"""Flaws of the idle timeout."""

from securitytests.check import Claim
from securitytests.mutants.patch import Patch
from securitytests.mutants.registry import mutant

_DUE = "monitor.session:Session.due"
_RECEIVE = "monitor.session:Session.receive"
_RECEIVED = "monitor.connection:Connection._received"
_TOUCH = "session._activity = self._host.now()"
_UNANSWERED = "if now >= self._ping_sent + settings.ping_timeout_s:"


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
    patch.text(_DUE, 'CloseCode.DEADLINE, "idle timeout"', 'CloseCode.GOING_AWAY, "idle timeout"')


@mutant(claim=Claim.IDLE, caught_by=("ID1",))
def subscribers_are_never_idle(patch: Patch) -> None:
    """A subscriber stays for ever, though nothing is delivered to it."""
    patch.text(
        _DUE,
        "if now >= self._activity + settings.idle_timeout_s:",
        "if 'subscribe' not in self.grant.scopes"
        " and now >= self._activity + settings.idle_timeout_s:",
    )


@mutant(claim=Claim.IDLE, caught_by=("ID2",), may=("CN4",))
def unanswered_pings_are_repeated(patch: Patch) -> None:
    """Whoever does not answer a ping is sent another."""
    patch.text(_DUE, _UNANSWERED, "if False:")


@mutant(claim=Claim.IDLE, caught_by=("ID2",), may=("CN4",))
def a_listener_is_present(patch: Patch) -> None:
    """A peer whose kernel still takes deliveries need not answer pings."""
    patch.text(
        _DUE,
        _UNANSWERED,
        "if now >= self._ping_sent + settings.ping_timeout_s and now - self.delivered > 1.0:",
    )


@mutant(claim=Claim.IDLE, caught_by=("ID2",), may=("CN4",))
def three_pings_may_be_missed(patch: Patch) -> None:
    """A ping may be answered three intervals late."""
    patch.text(
        _DUE,
        _UNANSWERED,
        "if now >= self._ping_sent + settings.ping_timeout_s + 3 * settings.ping_interval_s:",
    )


@mutant(claim=Claim.IDLE, caught_by=("ID3",))
def pings_are_activity(patch: Patch) -> None:
    """A client that only pings is never idle."""
    patch.text(
        _RECEIVED,
        "elif opcode is Opcode.PONG:",
        f"elif opcode is Opcode.PING: {_TOUCH}\n    elif opcode is Opcode.PONG:",
    )


@mutant(claim=Claim.IDLE, caught_by=("ID3",))
def unasked_pongs_are_activity(patch: Patch) -> None:
    """A pong that answers no ping counts as a message."""
    patch.text(
        "monitor.session:Session.pong",
        "self._ping_answered = True",
        "self._activity = max(self._activity, self._ping_sent) if self._ping_answered"
        " else self._activity; self._ping_answered = True",
    )


@mutant(claim=Claim.IDLE, caught_by=("ID4",), may=("ID*",))
def bytes_are_activity(patch: Patch) -> None:
    """Whatever arrives on the socket puts off the idle timeout."""
    patch.text(
        "monitor.connection:Connection.data_received",
        "self._receive(data)",
        "self.session._activity = self._host.now(); self._receive(data)",
    )


@mutant(claim=Claim.IDLE, caught_by=("ID4",))
def fragments_are_activity(patch: Patch) -> None:
    """Each fragment of a message puts off the idle timeout, not only the whole message."""
    patch.text(
        "monitor.connection:Connection._assemble",
        "if text is None:",
        f"if text is None:\n        {_TOUCH}",
    )


@mutant(claim=Claim.IDLE, caught_by=("ID5",))
def idle_counts_from_the_handshake(patch: Patch) -> None:
    """Nothing a client says puts off the idle timeout."""
    patch.text(_RECEIVE, "self._activity = now", "None")


@mutant(claim=Claim.IDLE, caught_by=("ID5",))
def publications_are_no_activity(patch: Patch) -> None:
    """What is not counted as a request is not counted as activity: valid publications."""
    patch.text(
        _RECEIVE,
        "self._activity = now",
        "self._activity = self._activity if '\"publish\"' in text[:40] else now",
    )


@mutant(claim=Claim.IDLE, caught_by=("ID5",))
def listeners_are_idle(patch: Patch) -> None:
    """A subscriber that is delivered events, and says nothing, is closed."""
    for where in (_DUE, "monitor.session:Session.delivering"):
        patch.text(where, "self._activity = max(self._activity, self.delivered)", "pass")


@mutant(claim=Claim.IDLE, caught_by=("ID6",), may=("RL9",))
def stalled_readers_are_kept_for(patch: Patch) -> None:
    """All that a reader does not take is buffered for it."""
    patch.text("monitor.connection:Connection.pause_writing", "self.writable = False", "return")
    patch.text(
        "monitor.connection:Connection.deliver",
        "self._write(frames)",
        "self._write(bytes(bytearray(frames)))",  # its own copy, as a queue of its own would be
    )


@mutant(claim=Claim.IDLE, caught_by=("ID6",))
def gaps_are_silent(patch: Patch) -> None:
    """What a slow reader is not sent is left out without a word."""
    patch.text(
        "monitor.fanout:Fanout._thin",
        "stretch._replace(frames=notice + stretch.frames)",
        "stretch",
    )
    patch.text(
        "monitor.fanout:Fanout._expire_entries",
        'subscriber.deliver(_gap(cursor + 1, last, omitted, "expired"), now)',
        "None",
    )


@mutant(claim=Claim.IDLE, caught_by=("ID6",), may=("RL9",))
def one_stalled_reader_stalls_all(patch: Patch) -> None:
    """Nobody is written to while somebody cannot be."""
    patch.text(
        "monitor.fanout:Fanout.flush", "if cursor == last:", "if cursor == last or self._paused:"
    )
