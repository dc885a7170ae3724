"""How long to wait before the next attempt to connect. Pure: randomness is passed in."""

from collections.abc import Callable

FIRST_S = 1.0
LONGEST_S = 30.0


class Backoff:
    """Delays of 1 s doubling to 30 s, each drawn from the upper half of itself.

    `random` returns a float in [0, 1). Jitter keeps a hundred clients of one monitor from
    coming back in the same instant; staying in the upper half keeps the delay a delay.
    """

    def __init__(
        self,
        random: Callable[[], float],
        *,
        first_s: float = FIRST_S,
        longest_s: float = LONGEST_S,
    ) -> None:
        self._random = random
        self._first_s = first_s
        self._longest_s = longest_s
        self._delay_s = first_s

    def next(self) -> float:
        """Return the seconds to wait now, and double the delay after it."""
        delay_s = self._delay_s
        self._delay_s = min(delay_s * 2, self._longest_s)
        return delay_s / 2 + self._random() * delay_s / 2

    def reset(self) -> None:
        """Start again from the first delay."""
        self._delay_s = self._first_s
