"""Which figures a run of a scenario can have, known before it begins. Pure.

What every run may have is said here beside the tables its figures are made from; what only one
scenario has, by that scenario. Whether a figure can then be had (a percentile of enough events, the
memory of a process that is known) only the run shows.
"""

from collections.abc import Iterator

from loadtests.accounting.histogram import PERCENTILES
from loadtests.accounting.spread import FIGURES
from loadtests.figures import FANOUT_PERCENTILES, TOTALS, largest_is_given
from loadtests.scenarios import Asked, Scenario

#: Figures of one repeat that are not made from a table.
_OF_A_REPEAT = (
    "clients_held",
    "clients_offered",
    "events_offered_per_s",
    "events_per_s",
    "deliveries_per_s",
    "reach_percent",
    "send_lag_p99_us",
    "send_lag_max_us",
    "receive_lag_mean_us",
    "receive_lag_p99_us",
    "receive_lag_max_us",
    "receive_unread_p99_bytes",
    "receive_unread_max_bytes",
    "receive_queue_fill_max_percent",
    "moves_lag_p99_us",
    "clock_bound_us",
    "generator_cpu_percent",
    "publisher_cpu_percent",
    "host_busy_percent",
    "host_others_percent",
    "target_cpu_percent",
    "target_rss_median_bytes",
    "target_rss_peak_bytes",
)

#: Figures of the run as a whole, whatever its points.
_OF_THE_WHOLE = ("target_rss_peak_bytes", "generator_rss_peak_bytes", "target_deaths")


def figures_of(scenario: type[Scenario], asked: Asked) -> dict[str, str]:
    """Return every figure that a run of the scenario can have, with its unit.

    Where it has several points, each figure of a repeat is given for each, its name after the
    point's; of a search nobody knows the points yet.
    """
    labels = points_of(scenario, asked)
    each = of_each_point(scenario)
    whole = (*_OF_THE_WHOLE, *TOTALS, *_of_the_null_server(), *scenario.measures)
    units = {name: unit_of(name) for name in whole}
    for name in each:
        if not (labels or scenario.seeks) or largest_is_given(name, unit_of(name)):
            units[name] = unit_of(name)
    return units | {f"{label}_{name}": unit_of(name) for label in labels for name in each}


def points_of(scenario: type[Scenario], asked: Asked) -> tuple[str, ...]:
    """Return the labels of the points that figures are given for; none where there is but one."""
    labels = () if scenario.seeks else tuple(point.label for point in scenario.points(asked))
    return labels if len(labels) > 1 else ()


def of_each_point(scenario: type[Scenario]) -> tuple[str, ...]:
    """Name the figures of one repeat."""
    return (*_of_a_repeat(), *scenario.measures)


def _of_a_repeat() -> Iterator[str]:
    yield from _OF_A_REPEAT
    for kind in ("response", "service"):
        yield from (f"{kind}_{statistic}_us" for statistic in ("mean", "max", *PERCENTILES))
    for name in FIGURES:
        yield from (f"{name}_{percentile}_us" for percentile in FANOUT_PERCENTILES)


def _of_the_null_server() -> Iterator[str]:
    yield from (f"null_response_{statistic}_us" for statistic in ("mean", *PERCENTILES))


def unit_of(metric: str) -> str:
    """Return the unit a metric's name says it is in; what counts things begins with their name."""
    words = metric.split("_")
    if words[0] == "capacity":
        words = words[1:]
    if words[-2:] in (["per", "s"], ["per", "h"]):
        return f"{'bytes' if 'bytes' in words else words[0]}/{words[-1]}"
    if words[-1] in {"us", "s", "bytes", "percent", "deaths"}:
        return words[-1]
    return words[0]
