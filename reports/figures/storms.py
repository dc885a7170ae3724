"""How long until everybody is served when all arrive, or all come back, at once?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from reports.admissions import Attempts, attempts
from reports.dossier import Dossier
from reports.exhibits import Plot, Section, figure
from reports.style import BLUE, GREEN, GREY, ORANGE, VERMILLION
from reports.wording import plural, quantity

#: Repeats that are told apart by colour and dash; of points, all repeats look alike.
_LOOKS = ((BLUE, "-"), (ORANGE, (0, (4, 1.5))), (GREEN, (0, (1, 1))), (GREY, (0, (3, 1, 1, 1))))


@dataclass(frozen=True, slots=True)
class _Storm:
    """One repeat: its point (how clients behaved), empty where all behave alike, and the tries."""

    number: int
    point: str
    tries: Attempts

    @property
    def look(self) -> str:
        """What is drawn alike: its point, or the repeat alone."""
        return self.point or f"repeat {self.number}"

    @property
    def name(self) -> str:
        """What tells it from every other."""
        return f"{self.point}, repeat {self.number}" if self.point else self.look

    @property
    def took_s(self) -> float:
        """The seconds from the first attempt to the last admission."""
        served = self.tries.at_s[self.tries.admitted]
        return float(served.max() - np.nanmin(self.tries.began_s)) if served.size else float("inf")

    def course(self) -> Iterator[tuple[float, int, int]]:
        """Yield, at each answer, the seconds since the first attempt, who asked and who got in."""
        zero = float(np.nanmin(self.tries.began_s))
        served = np.cumsum(self.tries.admitted)
        began = np.sort(self.tries.began_s)
        for at, count in zip(self.tries.at_s, served, strict=True):
            yield at - zero, int(np.searchsorted(began, at, side="right")), int(count)


@figure(Section.CONNECTIONS, source="connect-storm")
def connect_storm(dossier: Dossier) -> Plot | None:
    """Draw how many clients had asked and how many were served, since the storm began."""
    if dossier.record.scenario != "connect-storm":
        return None
    return _storm(dossier, "client", "connect")


@figure(Section.CONNECTIONS, source="reconnect-storm")
def reconnect_storm(dossier: Dossier) -> Plot | None:
    """Draw how many clients had tried and how many were back, since the target came down."""
    if dossier.record.scenario != "reconnect-storm":
        return None
    return _storm(dossier, "return", "come back")


def _storm(dossier: Dossier, who: str, verb: str) -> Plot | None:
    found = attempts(dossier.run)
    if found is None or not found.of(who).at_s.size:
        return None
    points = {one.number: one.point for one in dossier.record.repeats}
    mine = found.of(who)
    storms = [
        _Storm(number, points.get(number, ""), mine.in_repeat(number))
        for number in map(int, np.unique(mine.repeat))
    ]
    return Plot(
        title=_title(storms, verb),
        alt=_alt(storms, verb),
        columns=("repeat", "since_s", "asked", "served"),
        rows=[
            (one.name, f"{since:.3f}", int(asked), int(served))
            for one in storms
            for since, asked, served in one.course()
        ],
        draw=lambda canvas: _draw(canvas, storms, verb),
        height_in=3.2,
    )


def _title(storms: Sequence[_Storm], verb: str) -> str:
    slowest = max(storms, key=lambda one: one.took_s)
    refused = sum(int((~one.tries.admitted).sum()) for one in storms)
    most = max(int(one.tries.admitted.sum()) for one in storms)
    if not np.isfinite(slowest.took_s):
        return f"In {slowest.name} nobody was let in"
    took = quantity(slowest.took_s * 1e6, "us")
    failed = f"; tries that failed on the way: {refused:,}" if refused else ""
    return f"{plural(most, 'client')} {verb} within {took} at the slowest ({slowest.look}){failed}"


def _alt(storms: Sequence[_Storm], verb: str) -> str:
    told = (
        f"{one.name}: {int(one.tries.admitted.sum()):,} of {one.tries.admitted.size:,} tries to"
        f" {verb} admitted, the last after {one.took_s:.2f} s"
        for one in storms
    )
    return f"Step chart of clients served since the first attempt. {'; '.join(told)}."


def _draw(canvas: Figure, storms: Sequence[_Storm], verb: str) -> None:
    axes = canvas.subplots()
    looks = list(dict.fromkeys(one.look for one in storms))
    told: set[str] = set()
    for one in storms:
        colour, dash = _LOOKS[looks.index(one.look) % len(_LOOKS)]
        since, _, served = (np.array(values) for values in zip(*one.course(), strict=True))
        label = None if one.look in told else one.look
        told.add(one.look)
        axes.step(since, served, where="post", color=colour, linestyle=dash, label=label)
    _failures(axes, storms)
    axes.set_xlim(left=0)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.12)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylabel(f"clients that could {verb}")
    axes.set_xlabel("seconds from the first attempt")
    axes.legend(loc="lower right", frameon=False, fontsize=8)


def _failures(axes: Axes, storms: Sequence[_Storm]) -> None:
    """Mark failed tries with crosses where the curve stood then."""
    marks = [
        (since, served)
        for one in storms
        for (since, _, served), admitted in zip(one.course(), one.tries.admitted, strict=True)
        if not admitted
    ]
    if marks:
        since, served = zip(*marks, strict=True)
        axes.plot(
            since,
            served,
            linestyle="none",
            marker="x",
            markersize=3.5,
            color=VERMILLION,
            zorder=5,
            label="a try that failed",
        )
