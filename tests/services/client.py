"""What a service owes one client: answers first, then events, then a farewell.

Nothing here grows without bound: events beyond `QUEUED` are counted and announced, and who leaves
its answers unread is not read from.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tests.services.rules import Grant

QUEUED = 2_000
#: What no client is sent: it is gone already (RFC 6455 section 7.1.5).
GONE = 1006


@dataclass(frozen=True)
class Farewell:
    """The last thing a client is told: close with this code."""

    code: int
    reason: str


class Client:
    """One connection: who it is, what it is owed, and when it was last heard of."""

    def __init__(self, address: str, abort: Callable[[], object]) -> None:
        self.address = address
        self.abort = abort
        self.grant: Grant | None = None
        self.listening = False
        self.phases: frozenset[str] | None = None
        self.opened = self.active = time.monotonic()
        self.ended: float | None = None
        self.strikes = 0
        self._answers: deque[str | Farewell] = deque()
        self._events: deque[str] = deque()
        self._omitted = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def say(self, message: object) -> None:
        """Queue an answer; answers come before events."""
        if self.ended is None:
            self._answers.append(json.dumps(message))
            self._changed.set()
            if len(self._answers) >= QUEUED:
                self._room.clear()

    def feed(self, text: str) -> None:
        """Queue an event, unless the client is too far behind: then only count it."""
        if len(self._events) >= QUEUED:
            self._omitted += 1
        elif self.ended is None:
            self._events.append(text)
            self._changed.set()

    def end(self, code: int, reason: str) -> None:
        """Queue the farewell; nothing comes after it, and no event before it any more."""
        if self.ended is None:
            self.ended = time.monotonic()
            self._events.clear()
            self._answers.append(Farewell(code, reason))
            self._changed.set()
            self._room.set()

    async def room(self) -> None:
        """Wait while too many answers are unsent: who does not read is not read from."""
        await self._room.wait()

    async def next(self, word: str) -> str | Farewell:
        """Return what is to be sent next, a notice of what was left out included."""
        while True:
            if self._answers:
                self._room.set()
                return self._answers.popleft()
            if self._events:
                self.active = time.monotonic()
                return self._events.popleft()
            if self._omitted and self.ended is None:
                notice = {word: "gap", "omitted": self._omitted}
                self._omitted = 0
                return json.dumps(notice)
            self._changed.clear()
            await self._changed.wait()
