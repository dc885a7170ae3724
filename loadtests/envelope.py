"""What a promised limit allows, held against what was admitted. Pure.

Seen from outside, the instant at which a service decided lies between our asking and its answer.
What is counted here was certainly within one window, or certainly held at one time, so an excess
is the service's and never the clock's.
"""

from bisect import bisect_right
from collections.abc import Iterable


def most_in_window(spans_ns: Iterable[tuple[int, int]], window_ns: int) -> int:
    """Return the most admissions (asked, answered) that certainly fell into one window.

    They did if the first was asked at t and all were answered before t + window.
    """
    ordered = sorted(spans_ns)
    most = 0
    answered: list[int] = []
    # From the last to the first: `answered` holds the answers of all that were asked from here on.
    for asked, at in reversed(ordered):
        answered.insert(bisect_right(answered, at), at)
        most = max(most, bisect_right(answered, asked + window_ns - 1))
    return most


def most_at_once(spans_ns: Iterable[tuple[int, int]]) -> int:
    """Return the most connections (admitted, ended by us) that were certainly held at one time."""
    spans = list(spans_ns)
    changes = sorted([(at, 1) for at, _ in spans] + [(at, -1) for _, at in spans])
    held = most = 0
    for _, change in changes:
        held += change
        most = max(most, held)
    return most
