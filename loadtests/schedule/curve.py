"""Rates that change over time, and the open schedule that follows them. Pure.

A curve is corners `(at_s, value)` joined by straight lines, `at_s` counted from the start of the
measured window; before the first corner and after the last the value stays as it is there.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Curve = tuple[tuple[float, float], ...]

#: The integral of a curve is tabulated this finely; a due instant lies within a step of exact,
#: and due instants are ours to set.
_STEP_S = 0.001


def value_at(curve: Curve, at_s: float) -> float:
    """Return the curve's value at one instant."""
    return float(np.interp(at_s, [at for at, _ in curve], [value for _, value in curve]))


def mean(curve: Curve, start_s: float, end_s: float) -> float:
    """Return the mean value between two instants."""
    at, total = _integral(curve, start_s, end_s)
    return float(total[-1] / (at[-1] - at[0])) if at[-1] > at[0] else value_at(curve, start_s)


def peak(curve: Curve) -> float:
    """Return the largest value."""
    return max(value for _, value in curve)


def warp(
    due_s: NDArray[np.float64], rate: float, curve: Curve, start_s: float, end_s: float
) -> NDArray[np.float64]:
    """Move instants of a schedule at constant `rate` to where `curve` has as many events behind it.

    Both count from `start_s` of the curve. What lies beyond the curve's end is left out. The
    rhythm within a stretch stays: it is stretched or squeezed as the rate falls or rises.
    """
    at, total = _integral(curve, start_s, end_s)
    events = due_s * rate
    return np.asarray(np.interp(events[events < total[-1]], total, at - start_s))


def instants(curve: Curve, start_s: float, end_s: float) -> list[float]:
    """Return the instants at which the integral of a rate passes 0, 1, 2 …: evenly paced."""
    at, total = _integral(curve, start_s, end_s)
    whole = np.arange(np.ceil(total[-1] - 1e-9))
    return [float(one) for one in np.interp(whole, total, at)]


def _integral(
    curve: Curve, start_s: float, end_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return instants from `start_s` to `end_s`, and the curve's integral up to each."""
    steps = max(1, int(np.ceil((end_s - start_s) / _STEP_S)))
    corners = [at for at, _ in curve if start_s < at < end_s]
    at = np.union1d(np.linspace(start_s, end_s, steps + 1), corners)
    values = np.interp(at, [one for one, _ in curve], [value for _, value in curve])
    areas = np.diff(at) * (values[1:] + values[:-1]) / 2
    return at, np.concatenate(([0.0], np.cumsum(areas)))


def steps(levels: Sequence[tuple[float, float, float]]) -> Curve:
    """Return a curve of level stretches `(from_s, to_s, value)`, with edges of a millisecond."""
    corners: list[tuple[float, float]] = []
    for start_s, end_s, value in levels:
        corners += [(start_s + (_STEP_S if corners else 0.0), value), (end_s, value)]
    return tuple(corners)
