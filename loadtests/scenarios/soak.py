"""A long time."""

from typing import ClassVar

from loadtests.scenarios import Scenario, Seen, Values
from loadtests.slope import theil_sen, troughs

#: This much of the window is warming up: caches and logs fill to their bounds.
_SETTLING = 1 / 3

#: Stretches whose lowest reading counts.
_STRETCHES = 24


class Soak(Scenario):
    """Moderate load for a long time: whether memory grows once everything is warm.

    The figure is the robust slope (Theil and Sen) of the troughs of resident memory, the first
    third of the window left out, with its 95 % interval. `--duration 3600` is a real soak.
    """

    clients: ClassVar[int] = 50
    rate: ClassVar[float] = 500.0
    window_s: ClassVar[float] = 300.0
    repeats: ClassVar[int] = 1
    once: ClassVar[str] = (
        "a slope takes one long time, not several short ones, which would each be warm-up again."
        " Its interval is that of the slope within the run (Theil and Sen, 95 %):"
        " `target_rss_slope_low_bytes_per_h` to `target_rss_slope_high_bytes_per_h`"
    )
    proves: ClassVar[tuple[str, ...]] = ("lost = 0", "deaths = 0")
    measures: ClassVar[tuple[str, ...]] = (
        "target_rss_slope_bytes_per_h",
        "target_rss_slope_low_bytes_per_h",
        "target_rss_slope_high_bytes_per_h",
    )

    @classmethod
    def figures(cls, seen: Seen) -> Values:
        """The slope and its interval, in bytes an hour."""
        found = [
            one for one in seen.samples if one.role == "target" and one.repeat == seen.result.repeat
        ]
        start = seen.result.window_start_ns / 1e9
        at, lowest = troughs(
            [one.at_ns / 1e9 for one in found],
            [float(one.rss_bytes) for one in found],
            start + _SETTLING * seen.result.window_s,
            start + seen.result.window_s,
            _STRETCHES,
        )
        slope = theil_sen([one / 3600 for one in at], lowest)
        if slope is None:
            return {}
        return {
            "target_rss_slope_bytes_per_h": (slope.value, "bytes/h"),
            "target_rss_slope_low_bytes_per_h": (slope.low, "bytes/h"),
            "target_rss_slope_high_bytes_per_h": (slope.high, "bytes/h"),
        }
