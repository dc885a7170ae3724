"""Figures about connecting, from what a repeat's attempts came to. Pure."""

from collections.abc import Callable, Iterable

import numpy as np

from loadtests.results import Admission

#: The figures of connecting, and how many attempts say something about each.
_PERCENTILES = {"p50": (50, 20), "p90": (90, 100), "p99": (99, 1000)}


def chosen(admissions: Iterable[Admission], wanted: Callable[[Admission], bool]) -> list[Admission]:
    """Return the attempts that were answered and are wanted."""
    return [one for one in admissions if one.at_ns and wanted(one)]


def times(prefix: str) -> tuple[str, ...]:
    """Name what `connect_times` may return."""
    return (*(f"{prefix}_{name}_us" for name in _PERCENTILES), f"{prefix}_max_us")


def counts(prefix: str) -> tuple[str, ...]:
    """Name what `counted` returns."""
    return f"{prefix}_offered", f"{prefix}_refused"


def connect_times(prefix: str, admissions: Iterable[Admission]) -> dict[str, tuple[float, str]]:
    """Return how long the admitted ones took, from due (or begun) to ready, in µs.

    `{prefix}_p50_us` and so on as far as there are enough attempts, and `{prefix}_max_us`.
    """
    taken = [
        (one.at_ns - (one.due_ns or one.began_ns)) / 1000
        for one in admissions
        if one.admitted and one.at_ns
    ]
    found = {
        f"{prefix}_{name}_us": (float(np.percentile(taken, percent, method="higher")), "us")
        for name, (percent, least) in _PERCENTILES.items()
        if len(taken) >= least
    }
    if taken:
        found[f"{prefix}_max_us"] = (max(taken), "us")
    return found


def counted(
    prefix: str, unit: str, admissions: Iterable[Admission]
) -> dict[str, tuple[float, str]]:
    """Return how many attempts there were and, if there were any, how many were refused."""
    found = list(admissions)
    refused = {f"{prefix}_refused": (float(sum(not one.admitted for one in found)), unit)}
    return {f"{prefix}_offered": (float(len(found)), unit)} | (refused if found else {})
