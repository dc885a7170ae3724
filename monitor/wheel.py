"""A timer wheel: one sweep for all deadlines. Pure; the clock is passed in.

A deadline is never called early, and at most one tick late plus the sweep's own delay. Moving a
deadline later costs nothing: the sweep asks its owner for the next one.
"""

from typing import Generic, TypeVar

Item = TypeVar("Item")


class Wheel(Generic[Item]):
    """Items by the tick their deadline falls into.

    Args:
        tick_s: resolution in seconds.
        now: monotonic seconds at construction.
    """

    def __init__(self, tick_s: float, now: float) -> None:
        self._tick_s = tick_s
        self._reached = self._tick(now)
        self._slots: dict[int, set[Item]] = {}
        self._where: dict[Item, int] = {}

    def __len__(self) -> int:
        return len(self._where)

    def watch(self, item: Item, deadline: float) -> None:
        """Have `item` come up at `deadline`, unless it comes up earlier anyway."""
        tick = max(self._tick(deadline) + 1, self._reached + 1)
        known = self._where.get(item)
        if known is not None:
            if known <= tick:
                return
            self._slots[known].discard(item)
        self._where[item] = tick
        self._slots.setdefault(tick, set()).add(item)

    def forget(self, item: Item) -> None:
        """Drop an item. Idempotent."""
        tick = self._where.pop(item, None)
        if tick is not None:
            self._slots[tick].discard(item)

    def due(self, now: float) -> list[Item]:
        """Take out and return the items whose deadline has passed."""
        upto = self._tick(now)
        if upto - self._reached > len(self._slots):
            ticks = sorted(tick for tick in self._slots if tick <= upto)
        else:
            ticks = [t for t in range(self._reached + 1, upto + 1) if t in self._slots]
        self._reached = max(self._reached, upto)
        items = [item for tick in ticks for item in self._slots.pop(tick)]
        for item in items:
            del self._where[item]
        return items

    def _tick(self, at: float) -> int:
        return int(at / self._tick_s)
