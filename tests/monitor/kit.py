"""What tests of the monitor's rooms share: keys, tokens and the decisions a session asks for."""

import json
import time
from datetime import UTC, datetime
from types import MappingProxyType

from monitor.effects import Close, Send
from monitor.gate import Gate
from monitor.keys import Key, KeyTable
from monitor.session import Session
from monitor.settings import Settings
from monitor.tokens import Grant, Scope, TokenError, TokenFault, issue, verify
from monitor.wire import ErrorCode

#: Unix time at monotonic zero in these tests.
EPOCH = 1_735_732_800.0

KEYS = KeyTable(MappingProxyType({"k": Key("k", b"0123456789abcdef0123456789abcdef")}), "k")


def token(*scopes: Scope, subject: str = "alice", ttl_s: float = 3600.0, at: float = 0.0) -> str:
    """Return a token issued at monotonic time `at`."""
    return issue(KEYS, subject, scopes or (Scope.SUBSCRIBE,), ttl_s, EPOCH + at)[0]


class Decisions:
    """The real gate and the real token check, on a clock the test sets."""

    def __init__(self, **settings: object) -> None:
        self.settings = Settings(**settings)
        self.gate = Gate(self.settings)
        self.time = 0.0
        self.revoked: set[str] = set()
        self.accepting = True
        self.refusals: list[ErrorCode] = []

    def verify(self, text: str) -> Grant:
        grant = verify(KEYS, text, self.wall_time())
        if grant.token_id in self.revoked:
            raise TokenError(TokenFault.REVOKED)
        return grant

    def wall_time(self) -> float:
        return EPOCH + self.time

    def admit(self, address: str, now: float) -> float:
        return self.gate.admit(address, now)

    def failed(self, address: str, now: float) -> float:
        return self.gate.failed(address, now)

    def quota(self, subject: str, events: int, now: float) -> float:
        return self.gate.quota(subject, events, now)

    def accepts_events(self) -> bool:
        return self.accepting

    def refused(self, code: ErrorCode, _address: str) -> None:
        self.refusals.append(code)


class Client:
    """A session with its decisions: says things, and reads the effects as a client would."""

    def __init__(self, *, stream: bool = True, **settings: object) -> None:
        self.rules = Decisions(**settings)
        self.session = Session(self.rules, "192.0.2.1", 0.0, stream=stream)

    def opened(self, *scopes: Scope, **options: object) -> "Client":
        """Open with a handshake token of these scopes."""
        grant = self.rules.verify(token(*scopes, **options))
        self.session.open(grant, self.rules.time)
        return self

    def say(self, message: object, at: float | None = None) -> list[object]:
        """Send a message (an object, or text as it is) and return the effects, sends decoded."""
        if at is not None:
            self.rules.time = at
        text = message if isinstance(message, str) else json.dumps(message)
        return readable(self.session.receive(text, self.rules.time))

    def due(self, at: float, *, drained: bool = True) -> list[object]:
        """Let time pass and return what the deadlines demand."""
        self.rules.time = at
        return readable(self.session.due(at, drained=drained))


def readable(effects: list[object]) -> list[object]:
    """Return effects with sends as decoded messages and closes as (code, reason)."""
    shown: list[object] = []
    for effect in effects:
        if isinstance(effect, Send):
            shown.append(json.loads(effect.payload))
        elif isinstance(effect, Close):
            shown.append((int(effect.code), effect.reason))
        else:
            shown.append(effect)
    return shown


def event(**fields: object) -> dict[str, object]:
    """Return a valid event; `fields` replace or add."""
    return {
        "type": "phase_progress",
        "phase": "writer",
        "progress": 45,
        "timestamp": datetime(2025, 1, 1, 12, tzinfo=UTC).isoformat(),
        **fields,
    }


def wait_until(holds, timeout=60.0):
    """Wait for the progress of another thread or process."""
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
