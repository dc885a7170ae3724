"""One connection's state machine. Pure: the clock is passed in, effects are returned.

The session decides; the connection carries out. It knows no socket, no log and no other session.
Times are monotonic seconds unless they are called wall time (Unix seconds).
"""

import math
from typing import Protocol

from monitor import wire
from monitor.effects import Abort, Close, Effect, ProtocolPing, Send, Silence, Store, Stream
from monitor.eventlog import Filter
from monitor.events import Event, InvalidEventError, accept, free_texts
from monitor.redaction import Redactor
from monitor.settings import Settings
from monitor.tokens import Grant, Scope, TokenError
from monitor.wire import CloseCode, ErrorCode, Reference

#: How long a connection that was only accepted to be told why it is refused may last.
TURN_AWAY_S = 1.0


class Rules(Protocol):
    """What the session asks of the server, each a pure decision with the clock passed in."""

    settings: Settings

    def verify(self, token: str) -> Grant:
        """Return what a token grants now, or raise TokenError; revoked ones are refused."""

    def wall_time(self) -> float:
        """Return Unix time in seconds."""

    def admit(self, address: str, now: float) -> float:
        """Count a request; return 0.0 or the seconds until one would be admitted."""

    def failed(self, address: str, now: float) -> float:
        """Count a failed authentication; return 0.0 or the seconds until another may be tried."""

    def quota(self, subject: str, events: int, now: float) -> float:
        """Take events from the subject's publishing quota; return 0.0 or seconds to wait."""

    def accepts_events(self) -> bool:
        """Tell whether publications can be stored now."""

    def refused(self, code: ErrorCode, address: str) -> None:
        """Count a message refused for what it is."""


class Session:
    """One client from accepted handshake to close.

    Args:
        rules: the server's decisions.
        address: the client key limits are counted under.
        now: monotonic time of the accepted handshake.
        stream: False leaves a subscriber silent until it subscribes (`?stream=off`).
    """

    __slots__ = (
        "_activity",
        "_address",
        "_close_within",
        "_opened",
        "_ping_answered",
        "_ping_sent",
        "_redactor",
        "_refused",
        "_refused_at",
        "_rules",
        "_stream",
        "closing_since",
        "delivered",
        "expires_at",
        "grant",
    )

    def __init__(self, rules: Rules, address: str, now: float, *, stream: bool) -> None:
        self.grant: Grant | None = None
        self.expires_at = math.inf
        self.closing_since: float | None = None
        self.delivered = now
        self._rules = rules
        self._address = address
        self._close_within = rules.settings.close_timeout_s
        self._stream = stream
        self._opened = now
        self._activity = now
        self._ping_sent = now
        self._ping_answered = True
        self._refused = 0
        self._refused_at = now
        self._redactor: Redactor | None = None  # few clients publish

    def open(self, grant: Grant | None, now: float) -> list[Effect]:
        """Begin, with the grant of the handshake's token if it carried one."""
        if grant is None:
            return [Send(wire.encode("auth_required"))]
        return self._granted(grant, None, now)

    def receive(self, text: str, now: float) -> list[Effect]:
        """Handle one text message."""
        if self.closing_since is not None:
            return []
        self._activity = now
        try:
            message = wire.decode(text)
        except wire.MalformedMessageError as error:
            return self._limited(error.ref, now) or self._malformed(error)
        if self.grant is None:
            return self._limited(message.ref, now) or self._first(message, now)
        if self.expires_at <= now:
            return [self._close(CloseCode.UNAUTHORIZED, "token expired", now)]
        if message.token is not None and not isinstance(message, wire.Auth):
            refused = self._own_token(message.token, message.ref, now)
            if refused:
                return refused
        if isinstance(message, wire.Publish) and Scope.PUBLISH in self.grant.scopes:
            return self._publish(message, now)
        return self._limited(message.ref, now) or self._handle(message, now)

    def turn_away(
        self, error: ErrorCode, code: CloseCode, text: str, retry_after: float | None, now: float
    ) -> list[Effect]:
        """Say why the handshake's credentials were refused, and close within a second.

        For browsers, which are not shown the HTTP answer to a failed handshake.
        """
        self._close_within = min(TURN_AWAY_S, self._close_within)
        refusal = Send(wire.error(error, text, retry_after=retry_after))
        return [refusal, self._close(code, text, now)]

    def pong(self) -> None:
        """Note that the peer answered a protocol ping; not activity."""
        self._ping_answered = True

    def revoked(self, now: float) -> list[Effect]:
        """Close: the token was revoked, its subject disabled, or its key dropped."""
        return self.close(CloseCode.UNAUTHORIZED, "token no longer valid", now)

    def ends_by(self, end: float, now: float) -> None:
        """Take up that the token holds no longer than until `end` (wall time)."""
        self.expires_at = min(self.expires_at, now + end - self._rules.wall_time())

    def due(self, now: float, *, drained: bool) -> list[Effect]:
        """Return what the deadlines that have passed demand. `drained`: nothing is unsent.

        A deadline is the sum that `next_deadline` has told; a difference is rounded otherwise.
        """
        settings = self._rules.settings
        if self.closing_since is not None:
            late = now >= self.closing_since + self._close_within
            return [Abort()] if late else []
        if self.grant is None:
            if now >= self._opened + settings.authentication_timeout_s:
                return [self._close(CloseCode.DEADLINE, "authentication deadline", now)]
            return []
        if self.expires_at <= now:
            return [self._close(CloseCode.UNAUTHORIZED, "token expired", now)]
        if drained:
            self._activity = max(self._activity, self.delivered)
        if now >= self._activity + settings.idle_timeout_s:
            return [self._close(CloseCode.DEADLINE, "idle timeout", now)]
        if not self._ping_answered:
            if now >= self._ping_sent + settings.ping_timeout_s:
                return [self._close(CloseCode.DEADLINE, "no answer to ping", now)]
        elif now >= self._ping_sent + settings.ping_interval_s:
            self._ping_sent = now
            self._ping_answered = False
            return [ProtocolPing()]
        return []

    def delivering(self, now: float, *, drained: bool) -> None:
        """Note that something is delivered now. `drained`: the peer has taken all before it."""
        if drained:
            self._activity = max(self._activity, self.delivered)
        self.delivered = now

    def resumed(self, now: float) -> None:
        """Note that a peer that had fallen behind has read on."""
        self._activity = max(self._activity, now)

    def next_deadline(self) -> float:
        """Return when `due` should be asked next; asking earlier does no harm."""
        settings = self._rules.settings
        if self.closing_since is not None:
            return self.closing_since + self._close_within
        if self.grant is None:
            return self._opened + settings.authentication_timeout_s
        wait = settings.ping_interval_s if self._ping_answered else settings.ping_timeout_s
        idle = max(self._activity, self.delivered) + settings.idle_timeout_s
        return min(self.expires_at, self._ping_sent + wait, idle)

    def close(self, code: CloseCode, reason: str, now: float) -> list[Effect]:
        """Close for a reason outside the session; nothing if it is closing already."""
        return [] if self.closing_since is not None else [self._close(code, reason, now)]

    def _first(self, message: wire.ClientMessage, now: float) -> list[Effect]:
        if not isinstance(message, wire.Auth) or message.token is None:
            text = "authenticate first: send {type: auth, token}"
            return self._refuse_authentication(text, message.ref, now)
        try:
            grant = self._rules.verify(message.token)
        except TokenError as error:
            return self._refuse_authentication(str(error), message.ref, now)
        return self._granted(grant, message.ref, now)

    def _handle(self, message: wire.ClientMessage, now: float) -> list[Effect]:
        assert self.grant is not None  # noqa: S101 - callers checked
        match message:
            case wire.Auth():
                return self._renew(message, now)
            case wire.Ping():
                return [Send(wire.encode("pong", message.ref))]
            case wire.Publish():
                return [self._forbid("publish", message.ref)]
            case wire.Subscribe():
                if Scope.SUBSCRIBE not in self.grant.scopes:
                    return [self._forbid("subscribe", message.ref)]
                return [Stream(_filter(message), message.since, message.ref)]
            case wire.Unsubscribe():
                return [Silence(), Send(wire.encode("unsubscribed", message.ref))]

    def _publish(self, message: wire.Publish, now: float) -> list[Effect]:
        assert self.grant is not None  # noqa: S101 - callers checked
        if self._redactor is None:
            self._redactor = Redactor()
        events, redact = message.events, self._redactor.redact
        # To look at all as one costs more than it saves where there is but one.
        one_by_one = len(events) == 1 or not self._redactor.lets_pass(free_texts(events))
        accepted: list[Event] = []
        redactions = 0
        for index, event in enumerate(events):
            try:
                clean, found = accept(event, redact if one_by_one else None)
            except InvalidEventError as error:
                limited = self._limited(message.ref, now)
                code = ErrorCode.INVALID_EVENT
                return limited or [self._refuse(code, str(error), message.ref, index)]
            accepted.append(clean)
            redactions += found
        wait = self._rules.quota(self.grant.subject, len(accepted), now)
        if math.isinf(wait):
            text = "more events than the publishing quota ever allows at once; split them"
            return self._strike(text, message.ref, None, now)
        if wait > 0:
            return self._strike("publishing quota used up", message.ref, wait, now)
        if not self._rules.accepts_events():
            refusal = wire.error(
                ErrorCode.UNAVAILABLE, "shutting down", ref=message.ref, retry_after=1.0
            )
            return [Send(refusal)]
        return [Store(self.grant.subject, tuple(accepted), message.ref, redactions)]

    def _renew(self, message: wire.Auth, now: float) -> list[Effect]:
        assert self.grant is not None  # noqa: S101 - callers checked
        try:
            grant = self._rules.verify(message.token or "")
        except TokenError as error:
            return self._refuse_authentication(str(error), message.ref, now)
        if grant.subject != self.grant.subject:
            return [self._close(CloseCode.FORBIDDEN, "another subject", now)]
        narrowed = Scope.SUBSCRIBE in self.grant.scopes - grant.scopes
        self.grant = grant
        self._expire_with(grant, now)
        effects: list[Effect] = [Send(self._auth_ok(grant, message.ref))]
        if narrowed:  # what the old token allowed goes with it
            effects += [Silence(), Send(wire.encode("unsubscribed"))]
        return effects

    def _granted(self, grant: Grant, ref: Reference | None, now: float) -> list[Effect]:
        self.grant = grant
        self._expire_with(grant, now)
        effects: list[Effect] = [Send(self._auth_ok(grant, ref))]
        listens = Scope.SUBSCRIBE in grant.scopes and Scope.PUBLISH not in grant.scopes
        if listens and self._stream:
            effects.append(Stream(None))
        return effects

    def _own_token(self, token: str, ref: Reference | None, now: float) -> list[Effect]:
        """Return a refusal unless a message's own token is valid and of the same subject.

        A message so refused counts as a request, and is told the limit first.
        """
        assert self.grant is not None  # noqa: S101 - callers checked
        try:
            grant = self._rules.verify(token)
        except TokenError as error:
            limited = self._limited(ref, now)
            return limited or self._refuse_authentication(str(error), ref, now)
        if grant.subject != self.grant.subject:
            limited = self._limited(ref, now)
            return limited or [self._close(CloseCode.FORBIDDEN, "another subject", now)]
        return []

    def _refuse_authentication(self, text: str, ref: Reference | None, now: float) -> list[Effect]:
        wait = self._rules.failed(self._address, now)
        if wait > 0:
            refusal = wire.error(
                ErrorCode.RATE_LIMITED, "too many failed attempts", ref=ref, retry_after=wait
            )
            return [Send(refusal), self._close(CloseCode.LIMITED, "too many attempts", now)]
        refusal = wire.error(ErrorCode.UNAUTHORIZED, text, ref=ref)
        return [Send(refusal), self._close(CloseCode.UNAUTHORIZED, text, now)]

    def _malformed(self, error: wire.MalformedMessageError) -> list[Effect]:
        if self.grant is None:
            text = "expected {type: auth, token} as a JSON text message"
            return [
                self._refuse(ErrorCode.BAD_MESSAGE, text),
                self._close(CloseCode.BAD_MESSAGE, "bad message", self._activity),
            ]
        return [self._refuse(error.code, error.public, error.ref, error.index)]

    def _forbid(self, action: str, ref: Reference | None) -> Send:
        text = f"the token's scope does not allow {action}"
        return self._refuse(ErrorCode.FORBIDDEN, text, ref)

    def _refuse(
        self, code: ErrorCode, text: str, ref: Reference | None = None, index: int | None = None
    ) -> Send:
        """Return the refusal of a message for what it is, counted."""
        self._rules.refused(code, self._address)
        return Send(wire.error(code, text, ref=ref, index=index))

    def _limited(self, ref: Reference | None, now: float) -> list[Effect]:
        """Count a request; return the refusal if the address has none left."""
        wait = self._rules.admit(self._address, now)
        return self._strike("request limit reached", ref, wait, now) if wait > 0 else []

    def _strike(
        self, text: str, ref: Reference | None, wait: float | None, now: float
    ) -> list[Effect]:
        if now - self._refused_at >= self._rules.settings.window_s:
            self._refused = 0
        self._refused_at = now
        self._refused += 1
        refusal = Send(wire.error(ErrorCode.RATE_LIMITED, text, ref=ref, retry_after=wait))
        if self._refused < self._rules.settings.strikes:
            return [refusal]
        return [refusal, self._close(CloseCode.LIMITED, "over the limit", now)]

    def _expire_with(self, grant: Grant, now: float) -> None:
        self.expires_at = now + grant.expires_at - self._rules.wall_time()

    def _auth_ok(self, grant: Grant, ref: Reference | None) -> bytes:
        return wire.encode(
            "auth_ok",
            ref,
            subject=grant.subject,
            scope=sorted(grant.scopes),
            expires_at=int(grant.expires_at),
            idle_timeout=self._rules.settings.idle_timeout_s,
        )

    def _close(self, code: CloseCode, reason: str, now: float) -> Close:
        self.closing_since = now
        return Close(code, reason)


def _filter(message: wire.Subscribe) -> Filter | None:
    if message.phases is None and message.types is None and message.run is None:
        return None
    return Filter(
        None if message.phases is None else frozenset(message.phases),
        None if message.types is None else frozenset(message.types),
        message.run,
    )
