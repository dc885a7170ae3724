"""Counts one subscriber's deliveries exactly: what came first, twice, late, or never.

Events are numbered from 0 in the order of their schedule. The memory a ledger needs grows with
what went missing, not with the length of the run.
"""

from collections.abc import Sequence

from loadtests.accounting.thinning import Notice


class Ledger:
    """What one subscriber received of the events from `joined` on.

    `window` is the first measured event: duplicates and reorderings before it are not counted.
    """

    __slots__ = (
        "_highest",
        "_missing",
        "duplicated",
        "joined",
        "left",
        "notices",
        "reordered",
        "window",
    )

    def __init__(self, window: int, joined: int = 0) -> None:
        self.window = window
        self.joined = joined
        #: The first event it no longer waited for, once it was told to leave.
        self.left: int | None = None
        self.duplicated = 0
        self.reordered = 0
        #: What the service said it left out for this subscriber, in the order it said so.
        self.notices: list[Notice] = []
        self._highest = joined - 1
        self._missing: set[int] = set()

    def admit(self, numbers: Sequence[int], consecutive: bool) -> Sequence[int]:
        """Record arrivals in their order; return those that arrived for the first time.

        `consecutive` says that each number is the one before plus one. What arrives after it was
        told to leave counts only if it was due before.
        """
        if self.left is not None:
            numbers = [number for number in numbers if number < self.left]
            if not numbers:
                return numbers
        if consecutive and numbers[0] == self._highest + 1:
            self._highest = numbers[-1]
            return numbers
        return [number for number in numbers if self._first(number)]

    def _first(self, number: int) -> bool:
        if number > self._highest:
            self._missing.update(range(self._highest + 1, number))
            self._highest = number
            return True
        measured = number >= self.window
        if number in self._missing:
            self._missing.discard(number)
            self.reordered += measured
            return True
        if number >= self.joined:
            self.duplicated += measured
        return False

    def announced(self, newest: int, omitted: int, span: int | None) -> None:
        """Note that the service left out events; `newest` is the last that came right before."""
        self.notices.append(Notice(max(newest, self._highest), omitted, span))

    @property
    def thinned(self) -> int:
        """Events the service announced it left out, in the window or not."""
        return sum(notice.omitted for notice in self.notices)

    def expected(self, end: int) -> int:
        """Count the measured events before `end` this subscriber was there for."""
        return max(0, self.stop(end) - self.start)

    def received(self, end: int) -> int:
        """Count first arrivals among the measured events before `end`."""
        start, stop = self.start, self.stop(end)
        reached = max(0, min(stop, self._highest + 1) - start)
        return reached - sum(start <= number < stop for number in self._missing)

    def missing(self, end: int) -> list[int]:
        """Return the measured events before `end` that were owed and have not come, in order."""
        return self._absent(self.start, end)

    def absent(self, end: int) -> list[int]:
        """Return the same with those of the warm-up."""
        return self._absent(self.joined, end)

    def _absent(self, start: int, end: int) -> list[int]:
        stop = self.stop(end)
        waited = [number for number in self._missing if start <= number < stop]
        return [*sorted(waited), *range(max(start, self._highest + 1), stop)]

    @property
    def start(self) -> int:
        """The first measured event it waits for."""
        return max(self.window, self.joined)

    @property
    def highest(self) -> int:
        """The newest event that came."""
        return self._highest

    def stop(self, end: int) -> int:
        """The event before which it stops waiting, `end` at the latest."""
        return end if self.left is None else min(end, self.left)
