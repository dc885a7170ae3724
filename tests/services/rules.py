"""What the Python services here have in common: tokens, windows, slots and what an event may hold.

Small and plain on purpose: these are services the harness is pointed at, written apart from the
monitor. Each has its own library, its own words on the wire and its own ways to refuse.
"""

import argparse
import json
import math
import re
import secrets
import time
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import jwt

MAX_TOKEN_CHARS = 4_096
_NAME = re.compile(r"[A-Za-z0-9._-]{1,40}", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)", re.ASCII)
_STATES = ("pending", "in_progress", "completed", "failed")

#: For each type of event: the fields it must have beside `type` and `timestamp`.
_REQUIRED = {
    "phase_start": {"phase"},
    "phase_progress": {"phase", "progress"},
    "phase_complete": {"phase"},
    "phase_failed": {"phase", "error"},
    "checkpoint_created": {"path"},
    "file_trashed": {"path"},
    "phase_update": {"phase", "status", "progress"},
}
_NAMES = {"phase", "run", "id"}
_FREE_TEXT = {"message", "error", "path"}


def options(description: str) -> argparse.Namespace:
    """Parse what each service can be told. Durations in seconds, sizes in bytes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--window-s", type=float, default=30.0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--events-per-s", type=int, default=2_000)
    parser.add_argument("--failures", type=int, default=8)
    parser.add_argument("--handshake-s", type=float, default=5.0)
    parser.add_argument("--authentication-s", type=float, default=5.0)
    parser.add_argument("--idle-s", type=float, default=60.0)
    parser.add_argument("--ping-s", type=float, default=15.0)
    parser.add_argument("--pong-s", type=float, default=15.0)
    parser.add_argument("--close-s", type=float, default=4.0)
    parser.add_argument("--message-bytes", type=int, default=65_536)
    return parser.parse_args()


@dataclass(frozen=True)
class Grant:
    """Whom a valid token speaks for, what it allows, and until when (Unix seconds)."""

    subject: str
    scopes: frozenset[str]
    token_id: str
    expires_at: int


class Tokens:
    """JWTs of one issuer, signed with the key in the state folder; one algorithm, always.

    Who is revoked or disabled stands in two files there, one name a line; `poll` takes up
    what was added.
    """

    def __init__(self, state: Path, algorithm: str, issuer: str) -> None:
        self._algorithm = algorithm
        self._issuer = issuer
        self._files = (state / "revoked", state / "disabled")
        self._seen: tuple[int, ...] = ()
        self._revoked: frozenset[str] = frozenset()
        self._disabled: frozenset[str] = frozenset()
        key = state / "key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_text(secrets.token_hex(64))
        self._key = key.read_text().encode()
        for file in self._files:
            file.touch()
        self.poll()

    def poll(self) -> None:
        """Read the two files again if they have grown."""
        seen = tuple(file.stat().st_size for file in self._files)
        if seen != self._seen:
            revoked, disabled = (frozenset(file.read_text().split()) for file in self._files)
            self._seen, self._revoked, self._disabled = seen, revoked, disabled

    def issue(self, subject: str, scope: str, lifetime_s: float) -> str:
        """Return a token; a lifetime below zero gives one that has expired."""
        now = int(time.time())
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,
            "sub": subject,
            "scope": scope,
            "jti": secrets.token_hex(16),
            "iat": now,
            "exp": math.ceil(time.time() + lifetime_s),
        }
        return jwt.encode(claims, self._key, algorithm=self._algorithm)

    def verify(self, token: object) -> Grant | None:
        """Return what the token grants now, or None, for whatever reason."""
        if not isinstance(token, str) or not token.isascii() or len(token) > MAX_TOKEN_CHARS:
            return None
        unchecked = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss")}
        try:
            claims = jwt.decode(token, self._key, [self._algorithm], options=unchecked)
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            return None
        grant = self._granted(claims)
        return grant if grant is not None and self.holds(grant) else None

    def holds(self, grant: Grant) -> bool:
        """Tell whether a grant is neither expired nor revoked, nor its subject disabled."""
        if grant.token_id in self._revoked or grant.subject in self._disabled:
            return False
        return time.time() < grant.expires_at

    def _granted(self, claims: dict[str, object]) -> Grant | None:
        if claims.get("iss") != self._issuer or claims.get("aud") != self._issuer:
            return None
        texts = [claims.get(name) for name in ("sub", "scope", "jti")]
        instants = [claims.get(name) for name in ("iat", "exp")] + [claims.get("nbf", 0)]
        if not all(isinstance(text, str) and text for text in texts):
            return None
        if not all(type(instant) is int for instant in instants):
            return None
        if max(instants[0], instants[2]) > time.time() + 5:
            return None
        return Grant(texts[0], frozenset(texts[1].split()), texts[2], instants[1])


class Window:
    """At most `allowed` of something in any `length_s` seconds, for each key."""

    def __init__(self, allowed: int, length_s: float) -> None:
        self._allowed = allowed
        self._length_s = length_s
        self._times: dict[Hashable, deque[float]] = {}

    def hit(self, key: Hashable) -> float:
        """Count one and return 0.0, or return the seconds until one would be counted."""
        now = time.monotonic()
        times = self._times.setdefault(key, deque())
        while times and times[0] <= now - self._length_s:
            times.popleft()
        if len(times) >= self._allowed:
            return times[0] + self._length_s - now
        times.append(now)
        return 0.0

    def sweep(self) -> None:
        """Forget the keys that have counted nothing lately."""
        past = time.monotonic() - self._length_s
        for key in [key for key, times in self._times.items() if times[-1] <= past]:
            del self._times[key]


class Slots:
    """At most so many connections at a time, for each address."""

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._taken: dict[str, int] = {}

    def take(self, address: str) -> bool:
        """Take a slot; False if there is none left."""
        if self._taken.get(address, 0) >= self._allowed:
            return False
        self._taken[address] = self._taken.get(address, 0) + 1
        return True

    def give(self, address: str) -> None:
        """Give a slot back."""
        self._taken[address] -= 1
        if not self._taken[address]:
            del self._taken[address]


def read(text: str) -> dict[str, object]:
    """Return a message as a JSON object.

    Raises:
        ValueError: it is none, or one on which readers could disagree: keys twice, NaN, lone
            surrogates, numbers or nesting beyond measure.
    """
    try:
        message = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
        json.dumps(message, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(message, dict):
        raise ValueError("not an object")  # noqa: TRY004 - what is wrong is the peer's text
    return message


def clean(event: object) -> dict[str, object]:
    """Return an event as it is passed on: free text stays behind.

    Raises:
        ValueError: a field is missing, unknown, or not what it should be.
    """
    if not isinstance(event, dict) or event.get("type") not in list(_REQUIRED):
        raise ValueError("no event of a known type")
    required = {"type", "timestamp", *_REQUIRED[event["type"]]}
    known = required | _NAMES | _FREE_TEXT | {"status", "progress"}
    if not required <= event.keys() <= known:
        raise ValueError("a field is missing or unknown")
    texts = event.keys() - {"progress"}
    if not all(isinstance(event[name], str) for name in texts):
        raise ValueError("a field is not a text")
    if not _INSTANT.fullmatch(event["timestamp"]) or event.get("status", "failed") not in _STATES:
        raise ValueError("no time in UTC, or no known status")
    if not all(_NAME.fullmatch(event[name]) for name in _NAMES & event.keys()):
        raise ValueError("a name has characters names do not have")
    progress = event.get("progress", 0)
    if type(progress) not in {int, float} or not 0 <= progress <= 100:
        raise ValueError("progress is not between 0 and 100")
    return {name: value for name, value in event.items() if name not in _FREE_TEXT}


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands twice")
    return fields


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")
