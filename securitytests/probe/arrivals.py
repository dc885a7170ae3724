"""A reader that knows when bytes came, however late they are asked for.

A deadline is judged by when a service kept it, not by when the audit came to look.
"""

import asyncio
from collections import deque


class TimedReader(asyncio.StreamReader):
    """`taken_at` is when the bytes, or the end, that were taken last had come (loop time)."""

    def __init__(self, limit: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(limit=limit, loop=loop)
        self.taken_at = loop.time()
        self._now = loop.time
        self._came: deque[tuple[int, float]] = deque()
        self._over_at: float | None = None
        self._broken: Exception | None = None

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]  # bytes come
        """Note when these bytes came."""
        if data:
            self._came.append((len(data), self._now()))
        super().feed_data(data)

    def feed_eof(self) -> None:
        """Note when the end came."""
        self._end()
        super().feed_eof()

    def set_exception(self, exc: Exception) -> None:
        """Note when the connection broke; what had come before is handed out first."""
        self._end()
        if self._came:
            self._broken = exc
        else:
            super().set_exception(exc)

    @property
    def waiting(self) -> bool:
        """Whether bytes, or the end, have come and were not taken."""
        return bool(self._came) or self._over_at is not None

    async def take(self, most: int) -> bytes:
        """Return some bytes that came together, or none at the end; wait until there are some.

        Raises:
            OSError: the connection broke, and all that had come before was taken.
        """
        if self._came:
            most = min(most, self._came[0][0])
        elif self._broken is not None:
            super().set_exception(self._broken)
        try:
            data = await self.read(most)
        except OSError:
            self.taken_at = self._over_at or self._now()
            raise
        if not data:
            self.taken_at = self._over_at or self._now()
        left = len(data)
        while left:
            count, self.taken_at = self._came.popleft()
            if count > left:
                self._came.appendleft((count - left, self.taken_at))
            left -= min(count, left)
        return data

    def _end(self) -> None:
        self._over_at = self._now() if self._over_at is None else self._over_at
