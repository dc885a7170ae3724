"""The session under random schedules of messages and time, against the promises made of it."""

from collections import deque

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from monitor.effects import Abort, ProtocolPing, Store
from monitor.tokens import Scope

from .kit import Client, event, token

LIMIT, WINDOW, STRIKES, IDLE, AUTHENTICATION, TTL = 5, 10.0, 4, 9.0, 3.0, 12.0


class SessionMachine(RuleBasedStateMachine):
    """One client, its clock, and what a bystander knows it must get."""

    def __init__(self):
        super().__init__()
        self.client = Client(
            requests_per_window=LIMIT,
            window_s=WINDOW,
            strikes=STRIKES,
            idle_timeout_s=IDLE,
            authentication_timeout_s=AUTHENTICATION,
            ping_interval_s=4.0,
            ping_timeout_s=6.0,
            close_timeout_s=1.0,
        )
        self.now = 0.0
        self.granted = False
        self.closed_at = None
        self.expires = float("inf")
        self.active = 0.0
        self.counted = deque()
        self.refused = 0
        self.pinged = None

    def say(self, message):
        effects = self.client.say(message, at=self.now)
        self.active = self.now
        self.note_close(effects)
        return effects

    def note_close(self, effects):
        for position, effect in enumerate(effects):
            if isinstance(effect, tuple):
                assert position == len(effects) - 1, "something follows the close"
                assert self.closed_at is None, "closed twice"
                self.closed_at = self.now

    def admitted(self):
        """Count a request as the promise has it: at most LIMIT in any window."""
        while self.counted and self.counted[0] + WINDOW <= self.now:
            self.counted.popleft()
        if len(self.counted) < LIMIT:
            self.counted.append(self.now)
            return True
        return False

    @initialize(good=st.booleans())
    def begin(self, good):
        if good:
            self.authenticate(True)

    # Times are sums of eighths, which floating numbers hold exactly: the model reckons otherwise.
    @rule(seconds=st.sampled_from([0.125, 1.0, 3.0, 6.0, 12.0]), answers=st.booleans())
    def wait(self, seconds, answers):
        """Let time pass, calling the deadlines exactly when the session asks for it."""
        until = self.now + seconds
        while self.client.session.next_deadline() <= until:
            self.now = max(self.now, self.client.session.next_deadline())
            effects = self.client.due(self.now)
            if effects == [Abort()]:
                assert self.closed_at is not None
                assert self.now >= self.closed_at + 1.0
                break
            for effect in effects:
                if isinstance(effect, ProtocolPing):
                    assert self.pinged is None
                    self.pinged = self.now
                    if answers:
                        self.answer_the_ping()
            self.note_close(effects)
            assert effects, "a deadline that demands nothing would be asked for ever"
        self.now = max(self.now, until)

    @rule()
    def answer_the_ping(self):
        self.client.session.pong()
        self.pinged = None

    @precondition(lambda self: self.closed_at is None and not self.granted)
    @rule(good=st.booleans())
    def authenticate(self, good):
        allowed = self.admitted()
        given = token(Scope.PUBLISH, at=self.now, ttl_s=TTL) if good else "no"
        effects = self.say({"type": "auth", "token": given})
        if not allowed:
            assert effects[0]["code"] == "rate_limited"
        elif good:
            assert effects[0]["type"] == "auth_ok"
            self.granted = True
            self.expires = self.now + TTL
        else:
            assert effects[0]["code"] == "unauthorized"
            assert self.closed_at is not None

    @precondition(lambda self: self.closed_at is None and self.granted)
    @rule(kind=st.sampled_from(["ping", "nonsense", "forbidden"]))
    def ask(self, kind):
        message = {
            "ping": {"type": "ping"},
            "nonsense": "nonsense",
            "forbidden": {"type": "subscribe"},
        }[kind]
        expired = self.now >= self.expires
        allowed = (kind == "nonsense" or not expired) and self.admitted()
        effects = self.say(message)
        if expired and kind != "nonsense":
            assert effects == [(4401, "token expired")]
        elif allowed:
            wanted = {"ping": "pong", "nonsense": "bad_message", "forbidden": "forbidden"}[kind]
            assert wanted in (effects[0]["type"], effects[0].get("code"))
        else:
            self.refused += 1
            assert effects[0]["code"] == "rate_limited"
            wait = effects[0]["retry_after"]
            assert abs(self.counted[0] + WINDOW - self.now - wait) < 0.001
            assert (self.closed_at is not None) == (self.refused == STRIKES)

    @precondition(lambda self: self.closed_at is None and self.granted)
    @rule()
    def publish(self):
        effects = self.say({"type": "publish", "events": [event()]})
        if self.now >= self.expires:
            assert effects == [(4401, "token expired")]
        else:
            assert isinstance(effects[0], Store)

    @precondition(lambda self: self.closed_at is not None)
    @rule()
    def speak_after_the_close(self):
        assert self.client.say({"type": "ping"}, at=self.now) == []

    @invariant()
    def no_deadline_is_missed(self):
        if self.closed_at is not None:
            return
        if not self.granted:
            assert self.now < AUTHENTICATION
            return
        assert self.now < self.expires or self.now == self.active
        assert self.now - self.active < IDLE
        assert self.pinged is None or self.now < self.pinged + 6.0


TestSession = SessionMachine.TestCase
TestSession.settings = settings(max_examples=150, stateful_step_count=40)
