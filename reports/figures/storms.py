"""How long until everybody is served when all arrive, or all come back, at once?"""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from reports.admissions import Attempts, attempts
from reports.dossier import Dossier
from reports.exhibits import Plot, Section, figure
from reports.style import BLUE, GREEN, GREY, ORANGE, VERMILLION
from reports.wording import plural, quantity

_LOOKS = ((BLUE, "-"), (ORANGE, (0, (4, 1.5))), (GREEN, (0, (1, 1))), (GREY, (0, (3, 1, 1, 1))))


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
    names = {one.number: one.point for one in dossier.record.repeats}
    parts = [
        (names.get(int(number)) or f"repeat {number}", found.of(who).in_repeat(int(number)))
        for number in np.unique(found.of(who).repeat)
    ]
    slowest = max(parts, key=lambda part: _took(part[1]))
    return Plot(
        title=_title(parts, verb, _took(slowest[1]), slowest[0]),
        alt=_alt(parts, verb),
        columns=("repeat", "since_s", "asked", "served"),
        rows=[
            (name, f"{since:.3f}", int(asked), int(served))
            for name, part in parts
            for since, asked, served in _course(part)
        ],
        draw=lambda canvas: _draw(canvas, parts, verb),
        height_in=3.2,
    )


def _took(part: Attempts) -> float:
    """Return the seconds from the first attempt to the last admission."""
    served = part.at_s[part.admitted]
    return float(served.max() - np.nanmin(part.began_s)) if served.size else float("inf")


def _title(parts: list[tuple[str, Attempts]], verb: str, took_s: float, slowest: str) -> str:
    refused = sum(int((~part.admitted).sum()) for _, part in parts)
    most = max(int(part.admitted.sum()) for _, part in parts)
    if not np.isfinite(took_s):
        return f"In {slowest} nobody was let in"
    title = f"{plural(most, 'client')} {verb} within {quantity(took_s * 1e6, 'us')} at the slowest"
    failed = f"; tries that failed on the way: {refused:,}" if refused else ""
    return f"{title} ({slowest}){failed}"


def _alt(parts: list[tuple[str, Attempts]], verb: str) -> str:
    told = (
        f"{name}: {int(part.admitted.sum()):,} of {part.admitted.size:,} tries to {verb} admitted,"
        f" the last after {_took(part):.2f} s"
        for name, part in parts
    )
    return f"Step chart of clients served since the first attempt. {'; '.join(told)}."


def _course(part: Attempts) -> Iterator[tuple[float, int, int]]:
    zero = float(np.nanmin(part.began_s))
    served = np.cumsum(part.admitted)
    began = np.sort(part.began_s)
    for at, count in zip(part.at_s, served, strict=True):
        yield at - zero, int(np.searchsorted(began, at, side="right")), int(count)


def _draw(canvas: Figure, parts: list[tuple[str, Attempts]], verb: str) -> None:
    axes = canvas.subplots()
    for number, (name, part) in enumerate(parts):
        colour, dash = _LOOKS[number % len(_LOOKS)]
        since, _, served = (np.array(values) for values in zip(*_course(part), strict=True))
        axes.step(since, served, where="post", color=colour, linestyle=dash, label=name)
        _failures(axes, part, served)
    axes.set_xlim(left=0)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.12)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylabel(f"clients that could {verb}")
    axes.set_xlabel("seconds from the first attempt")
    axes.legend(loc="lower right", frameon=False, fontsize=8)


def _failures(axes: Axes, part: Attempts, served: np.ndarray) -> None:
    """Mark failed tries with crosses where the curve stood then."""
    failed = ~part.admitted
    if failed.any():
        zero = float(np.nanmin(part.began_s))
        axes.plot(
            part.at_s[failed] - zero,
            served[failed],
            linestyle="none",
            marker="x",
            markersize=3.5,
            color=VERMILLION,
            zorder=5,
        )
