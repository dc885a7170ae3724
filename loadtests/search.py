"""Finds the most of something that still holds: step up, bisect, confirm. Pure.

What is tried may answer by chance, so the end is confirmed: three times in a row, or a step lower.
"""

from collections.abc import Generator
from typing import NamedTuple

#: The answer is sought to within a tenth.
RESOLUTION = 0.1

CONFIRMATIONS = 3

#: A busy machine may take several steps down to confirm; after so many, an eighth is left.
_STEPS_DOWN = 20

#: So many answers a factor of ten apart are looked at to say how many trials there will be.
_SAMPLES = 20


class Trial(NamedTuple):
    """What is to be tried next."""

    value: int
    confirming: bool


def most(start: int, limit: int) -> Generator[Trial, bool, int]:
    """Yield trials from `start` up to `limit`, be sent whether each held; return the most that did.

    0 if nothing could be confirmed.
    """
    low, high = yield from _step_up(start, limit)
    while high is not None and high - low > max(1, RESOLUTION * low):
        middle = (low + high) // 2
        if (yield Trial(middle, confirming=False)):
            low = middle
        else:
            high = middle
    for _ in range(_STEPS_DOWN):
        if low < 1:
            return 0
        if (yield from _confirmed(low)):
            return low
        low = min(low - 1, int(low * (1 - RESOLUTION)))
    return 0


def trials(start: int) -> tuple[int, int]:
    """Return how many trials a search takes, least and most.

    That is if its answer lies between a tenth of where it starts and ten times that, nothing
    answers by chance, and nothing can be offered too little.
    """
    answers = {
        max(1, round(start * 10 ** (step / _SAMPLES))) for step in range(-_SAMPLES, _SAMPLES)
    }
    counts = [_trials(start, answer) for answer in answers]
    return min(counts), max(counts)


def _trials(start: int, answer: int) -> int:
    search, count = most(start, 1000 * start), 1
    try:
        trial = next(search)
        while True:
            trial = search.send(trial.value <= answer)
            count += 1
    except StopIteration:
        return count


def _step_up(start: int, limit: int) -> Generator[Trial, bool, tuple[int, int | None]]:
    """Double until it no longer holds; return what held, and the first that did not, if any."""
    low, value = 0, min(start, limit)
    while (yield Trial(value, confirming=False)):
        low = value
        if value == limit:
            return low, None
        value = min(2 * value, limit)
    return low, value


def _confirmed(value: int) -> Generator[Trial, bool, bool]:
    for _ in range(CONFIRMATIONS):
        if not (yield Trial(value, confirming=True)):
            return False
    return True
