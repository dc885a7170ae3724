"""How busy the machine was in a repeat's window, and how much of that was neither side's doing."""

import itertools
from collections.abc import Sequence

import msgspec

from loadtests.results import HostLoad, RepeatResult
from loadtests.sampler import HOST, OTHERS, Sample


def noted(result: RepeatResult, samples: Sequence[Sample]) -> RepeatResult:
    """Return a repeat with the load of its host, if that is known.

    It is not where the target's processes are unknown: they would count as somebody else's.
    """
    high_ns = result.window_start_ns + int(result.window_s * 1e9)
    window = [one for one in samples if result.window_start_ns <= one.at_ns <= high_ns]
    if not any(one.role == "target" for one in window):
        return result
    busy, others = (_mean_percent(window, role) for role in (HOST, OTHERS))
    if busy is None or others is None:
        return result
    return msgspec.structs.replace(result, host=HostLoad(busy, max(0.0, others)))


def _mean_percent(window: Sequence[Sample], role: str) -> float | None:
    """Return the mean over time, in percent of all cores; a sample speaks of the time before it."""
    chosen = [one for one in window if one.role == role and one.cpu_percent is not None]
    whole_ns = used_ns = 0.0
    for before, one in itertools.pairwise(chosen):
        length_ns = one.at_ns - before.at_ns
        whole_ns += length_ns
        used_ns += length_ns * (one.cpu_percent or 0.0) / one.processes
    return used_ns / whole_ns if whole_ns else None
