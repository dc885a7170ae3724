"""The service restarts and everybody returns."""

from typing import ClassVar

import msgspec

from loadtests.scenarios import Asked, Scenario, Seen, Steps, Values
from loadtests.schedule.course import Backoff, Move
from monitor.contract.target import Target

#: When the restart is ordered, as a part of the window.
_RESTART = 0.2

#: How clients come back: all by the same clock, or spread by chance.
_BACKOFFS = {
    "together": Backoff(base_s=0.25, cap_s=2.0, jitter=False),
    "jittered": Backoff(base_s=0.25, cap_s=2.0, jitter=True),
}


class ReconnectStorm(Scenario):
    """The target restarts under load: time until all are live and level, together or spread out.

    Clients try again after 0.25 s, then 0.5, 1 and 2 s: once all by the same clock, once each after
    a uniform part of that. Live is who receives again; level, who has everything acknowledged up to
    then. Where the profile says how to resume, the books go on across the restart.
    """

    clients: ClassVar[int] = 100
    rate: ClassVar[float] = 100.0
    warmup_s: ClassVar[float] = 1.0
    window_s: ClassVar[float] = 12.0
    proves: ClassVar[tuple[str, ...]] = (
        "clients_not_back = 0",
        "clients_not_level = 0",
        "lost = 0",
    )
    needs: ClassVar[tuple[str, ...]] = ("start", "publish.acknowledged")
    measures: ClassVar[tuple[str, ...]] = (
        "clients_cut_off",
        "events_void",
        "clients_not_back",
        "clients_not_level",
        "tries_to_return",
        "first_live_s",
        "all_live_s",
        "all_level_s",
        "target_storm_cpu_peak_percent",
        "target_storm_rss_peak_bytes",
    )

    @classmethod
    def steps(cls, asked: Asked) -> Steps:
        """Both kinds of returning, in turn."""
        for _ in range(asked.repeats):
            for label, backoff in _BACKOFFS.items():
                yield msgspec.structs.replace(
                    cls.point(asked),
                    label=label,
                    backoff=backoff,
                    moves=(Move(asked.window_s * _RESTART, "restart"),),
                )

    @classmethod
    def lacks(cls, target: Target) -> str | None:
        """A restarted target must come back at the same address."""
        start = target.start
        if start is not None and start.ready == "json-url" and "{port}" not in start.command:
            return "start.command with {port}"
        return super().lacks(target)

    @classmethod
    def figures(cls, seen: Seen) -> Values:
        """Times from the order to restart, tries, and the target's peaks while all came back.

        If nobody was cut off while it was looked at, there is nothing to say of who came back.
        """
        returns = seen.result.part.returns
        live = [one.live_ns for one in returns if one.live_ns]
        level = [one.level_ns for one in returns if one.level_ns]
        found: Values = {
            "clients_cut_off": (float(len(returns)), "clients"),
            "events_void": (float(seen.result.part.void), "events"),
        }
        if returns:
            found["clients_not_back"] = (float(len(returns) - len(live)), "clients")
            found["clients_not_level"] = (float(len(returns) - len(level)), "clients")
            found["tries_to_return"] = (float(sum(one.attempts for one in returns)), "tries")
        ordered_ns = seen.result.restart_ns
        if live and len(live) == len(returns):
            found["first_live_s"] = ((min(live) - ordered_ns) / 1e9, "s")
            found["all_live_s"] = ((max(live) - ordered_ns) / 1e9, "s")
        if level and len(level) == len(returns):
            found["all_level_s"] = ((max(level) - ordered_ns) / 1e9, "s")
        until_ns = max(level, default=ordered_ns)
        storm = [
            one
            for one in seen.samples
            if one.role == "target" and ordered_ns <= one.at_ns <= until_ns + 200_000_000
        ]
        cpu = [one.cpu_percent for one in storm if one.cpu_percent is not None]
        if cpu:
            found["target_storm_cpu_peak_percent"] = (max(cpu), "percent")
            found["target_storm_rss_peak_bytes"] = (
                float(max(one.rss_bytes for one in storm)),
                "bytes",
            )
        return found
