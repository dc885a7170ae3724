"""Decides on a readable request: a page, a refusal, or a session with its first effects."""

import logging
import math
from typing import NamedTuple, Protocol

from monitor.authority import Authority
from monitor.effects import Effect
from monitor.gate import Gate, Pass
from monitor.handshake import Asked
from monitor.incidents import Incidents
from monitor.pages import Answer, Pages, problem
from monitor.redaction import neutralise, redact
from monitor.session import Rules, Session
from monitor.tokens import Grant, Scope, TokenError
from monitor.wire import CloseCode, ErrorCode

log = logging.getLogger("monitor.admission")

#: Foreign origins are logged once in so many seconds each, no more than so many, so much of them.
_TELL_S = 60.0
_TOLD_ORIGINS = 20
_SHOWN_CHARACTERS = 200

#: The path WebSocket clients connect to.
SOCKET_PATH = "/"


class Admission(NamedTuple):
    """A handshake to accept: the session, and what it begins with."""

    session: Session
    effects: list[Effect]


class Refusal(NamedTuple):
    """Why a connection got no slot (a key of `_EXPLAINED`), when to come back, and the answer."""

    reason: str
    wait_s: float
    answer: Answer


#: How a browser page is told why it is refused, by the reason it is counted under.
_EXPLAINED = {
    "requests": (ErrorCode.RATE_LIMITED, CloseCode.LIMITED, "too many requests"),
    "failures": (ErrorCode.RATE_LIMITED, CloseCode.LIMITED, "too many failed attempts"),
    "authentication": (ErrorCode.UNAUTHORIZED, CloseCode.UNAUTHORIZED, "authentication failed"),
    "connections": (ErrorCode.RATE_LIMITED, CloseCode.LIMITED, "too many connections"),
    "server_full": (ErrorCode.UNAVAILABLE, CloseCode.TRY_LATER, "the server is full"),
    "draining": (ErrorCode.UNAVAILABLE, CloseCode.RESTARTING, "shutting down"),
}

#: When to come back to a server that is shutting down.
_RESTART_S = 1.0


class Readiness(Protocol):
    """Whether the server takes new clients."""

    def ready(self) -> bool:
        """Tell whether new clients are welcome."""


class Admissions:
    """The order in which a request is judged: limit, origin, path, readiness, credentials."""

    def __init__(
        self,
        rules: Rules,
        readiness: Readiness,
        gate: Gate,
        authority: Authority,
        pages: Pages,
        incidents: Incidents,
    ) -> None:
        self._rules = rules
        self._readiness = readiness
        self._gate = gate
        self._authority = authority
        self._pages = pages
        self._incidents = incidents
        self._told: set[str] = set()  # foreign origins that were logged
        self._told_at = -math.inf

    def judge(
        self, asked: Asked, entered: Pass, refusal: Refusal | None, now: float
    ) -> Answer | Admission:
        """Answer a request, or admit it; `refusal` is that of a connection without a slot."""
        if asked.probe:
            entered.counted = True
            return self._pages.answer(asked.path)
        if refusal is not None:
            if self._explains(asked, entered):
                return self._turn_away(entered, refusal.reason, refusal.wait_s, now)
            return refusal.answer
        wait = self._gate.count(entered, now)
        if wait > 0:
            if self._explains(asked, entered):
                self._incidents.refuse("requests", entered.key, now)
                return self._turn_away(entered, "requests", wait, now)
            text = "too many requests"
            return self._refuse("requests", problem(429, text, retry_after=wait), entered, now)
        if asked.upgrade and asked.foreign:
            self._tell_foreign(asked.origin or "", now)
            text = "this origin is not allowed"
            return self._refuse("origin", problem(403, text), entered, now)
        if not asked.upgrade:
            if asked.misdirected:
                text = "not called by a name of this server; --allow-origin adds one"
                return self._refuse("host", problem(421, text), entered, now)
            return self._page(asked, entered, now)
        if asked.path != SOCKET_PATH:
            return problem(404, "no WebSocket is served here")
        if not self._readiness.ready():
            if self._explains(asked, entered):
                self._incidents.refuse("draining", entered.key, now)
                return self._turn_away(entered, "draining", _RESTART_S, now)
            text = "shutting down"
            return self._refuse(
                "draining", problem(503, text, retry_after=_RESTART_S), entered, now
            )
        return self._client(asked, entered, now)

    def _tell_foreign(self, origin: str, now: float) -> None:
        """Log an origin that is not allowed, once a while, and so many of them at most."""
        if now >= self._told_at + _TELL_S:
            self._told_at = now
            self._told.clear()
        if origin in self._told or len(self._told) >= _TOLD_ORIGINS:
            return
        self._told.add(origin)
        shown = neutralise(redact(origin[:_SHOWN_CHARACTERS])[0])
        log.warning("refused a page of origin %r; --allow-origin admits it", shown)

    def _page(self, asked: Asked, entered: Pass, now: float) -> Answer:
        if self._pages.needs_token(asked.path) and not self._rules.settings.public_status:
            grant = self._grant(asked)
            if grant is None:
                wait = self._gate.failed(entered.key, now)
                return self._unauthorized(wait, entered, now)
            if Scope.ADMIN not in grant.scopes:
                text = "the token's scope does not allow this"
                return self._refuse("forbidden", problem(403, text), entered, now)
        return self._pages.answer(asked.path)

    def _client(self, asked: Asked, entered: Pass, now: float) -> Answer | Admission:
        session = Session(self._rules, entered.key, now, stream=asked.stream)
        if asked.token is None and not asked.ambiguous:
            return Admission(session, session.open(None, now))
        grant = self._grant(asked)
        if grant is not None:
            return Admission(session, session.open(grant, now))
        wait = self._gate.failed(entered.key, now)
        if self._explains(asked, entered):
            reason = "failures" if wait > 0 else "authentication"
            self._incidents.refuse(reason, entered.key, now)
            return self._turn_away(entered, reason, wait, now)
        return self._unauthorized(wait, entered, now)

    def _grant(self, asked: Asked) -> Grant | None:
        """Return what the request's one credential grants, or None."""
        if asked.token is None or asked.ambiguous:
            return None
        try:
            return self._authority.verify(asked.token)
        except TokenError as error:
            log.debug("authentication failed: %s", error.reason)
            return None

    def _unauthorized(self, wait: float, entered: Pass, now: float) -> Answer:
        """Return the one answer every failed authentication gets."""
        if wait > 0:
            text = "too many failed attempts"
            return self._refuse("failures", problem(429, text, retry_after=wait), entered, now)
        challenge = {"WWW-Authenticate": 'Bearer realm="monitor"'}
        text = "authentication failed"
        answer = problem(401, text, headers=challenge)
        return self._refuse("authentication", answer, entered, now)

    def _explains(self, asked: Asked, entered: Pass) -> bool:
        """Tell whether a browser page is to be told why it is refused; takes a place for it."""
        return asked.upgrade and asked.from_page and self._gate.explain(entered)

    def _turn_away(self, entered: Pass, reason: str, wait: float, now: float) -> Admission:
        """Accept a browser's handshake only to say why it is refused."""
        session = Session(self._rules, entered.key, now, stream=False)
        code, close, text = _EXPLAINED[reason]
        return Admission(session, session.turn_away(code, close, text, wait or None, now))

    def _refuse(self, reason: str, answer: Answer, entered: Pass, now: float) -> Answer:
        self._incidents.refuse(reason, entered.key, now)
        return answer
