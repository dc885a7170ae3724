"""Does the service hold each address to its limits, while it floods and while it hoards?"""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.admissions import Attempts, attempts, in_window
from reports.dossier import Dossier
from reports.exhibits import Plot, Section, figure
from reports.series import Floats, Integers
from reports.style import BLUE, GREEN, GREY, ORANGE, SKY, limit
from reports.wording import plural

#: One address a line: colour, dash, width; widest first, since the lines lie on each other.
_LINES = (
    (SKY, "-", 4.2),
    (ORANGE, (0, (5, 1.5)), 2.6),
    (GREEN, (0, (3, 1, 1, 1)), 1.7),
    (BLUE, (0, (1, 1.2)), 1.2),
)


@figure(Section.LIMITS, source="limit-flood")
def ch3_monitoring(dossier: Dossier) -> Plot | None:
    """Draw admitted requests by moving window, refusals, and connections held, by address."""
    found = attempts(dossier.run)
    asked = dossier.record.parameters.get("promised_requests_per_window")
    held = dossier.record.parameters.get("promised_connections_per_address")
    window_s = dossier.record.parameters.get("promised_window_s")
    if found is None or not (asked and held and window_s):
        return None
    if not all(found.of(kind).at_s.size for kind in ("knock", "hold")):
        return None  # storms knock too, but nobody hoards
    first = found.in_repeat(int(found.repeat[0])).of("knock", "hold")
    zero = float(np.nanmin(first.began_s))
    bounds = (float(asked), float(held), float(window_s))
    return Plot(
        title=_title(first, bounds),
        alt=_alt(first, bounds),
        columns=("series", "address", "at_s", "count"),
        rows=list(_rows(first, bounds[2], zero)),
        draw=lambda canvas: _draw(canvas, first, bounds, zero),
        height_in=4.9,
    )


def _title(found: Attempts, bounds: tuple[float, float, float]) -> str:
    asked, held, window_s = bounds
    requests = max(_admitted(one, window_s)[1].max(initial=0) for _, one in _askers(found))
    most = max((_held(one)[1].max(initial=0) for _, one in _hoarders(found)), default=0)
    return (
        f"No address was let through more than {requests:.0f} times in {window_s:g} s"
        f" (promised {asked:g}), nor held more than {plural(float(most), 'connection')}"
        f" (promised {held:g})"
    )


def _alt(found: Attempts, bounds: tuple[float, float, float]) -> str:
    flood = found.of("knock")
    return (
        f"Three panels over time. Requests admitted from each of {len(set(flood.address))} flooding"
        f" addresses in the last {bounds[2]:g} s stay at or below {bounds[0]:g};"
        f" {int((~flood.admitted).sum()):,} of {flood.admitted.size:,} requests were refused;"
        f" connections held by each hoarding address stay at or below {bounds[1]:g}."
    )


def _rows(found: Attempts, window_s: float, zero: float) -> Iterator[tuple[str, str, str, int]]:
    for address, one in _askers(found):
        for at, count in zip(*_admitted(one, window_s), strict=True):
            yield "admitted in window", address, f"{at - zero:.3f}", int(count)
        for second, count in enumerate(_refused(one, zero)):
            yield "refused in second", address, str(second), int(count)
    for address, one in _hoarders(found):
        for at, count in zip(*_held(one), strict=True):
            yield "connections held", address, f"{at - zero:.3f}", int(count)


def _askers(found: Attempts) -> list[tuple[str, Attempts]]:
    return list(found.of("knock").by_address())


def _hoarders(found: Attempts) -> list[tuple[str, Attempts]]:
    return list(found.of("hold").by_address())


def _admitted(one: Attempts, window_s: float) -> tuple[Floats, Integers]:
    """Return the instants of one address's admissions and how many the window to each holds."""
    times = one.at_s[one.admitted]
    return times, in_window(one.began_s[one.admitted], times, window_s)


def _refused(one: Attempts, zero: float) -> Integers:
    times = np.floor(one.at_s[~one.admitted] - zero).astype(np.int64)
    return np.bincount(np.maximum(times, 0)).astype(np.int64)


def _held(one: Attempts) -> tuple[Floats, Integers]:
    """Return the instants at which one address's held connections change, and how many then."""
    opened = one.at_s[one.admitted]
    closed = one.ended_s[one.admitted]
    times = np.concatenate([opened, closed[~np.isnan(closed)]])
    steps = np.concatenate([np.ones(opened.size), -np.ones(times.size - opened.size)])
    order = np.argsort(times, kind="stable")
    return times[order], np.cumsum(steps[order]).astype(np.int64)


def _draw(canvas: Figure, found: Attempts, bounds: tuple[float, float, float], zero: float) -> None:
    asked, held, window_s = bounds
    upper, middle, lower = canvas.subplots(3, 1, sharex=True, height_ratios=(4, 2, 3))
    end = float(np.nanmax(found.at_s)) - zero
    for number, (address, one) in enumerate(_askers(found)):
        times, counts = _admitted(one, window_s)
        _step(upper, times - zero, counts, end, number, address)
        refused = _refused(one, zero)
        colour, dash, _ = _LINES[number % len(_LINES)]
        middle.plot(np.arange(refused.size) + 0.5, refused, color=colour, linestyle=dash)
    for number, (address, one) in enumerate(_hoarders(found)):
        times, counts = _held(one)
        _step(lower, times - zero, counts, end, number, address)
    limit(upper, asked, f"promised: {asked:g} in any {window_s:g} s")
    limit(lower, held, f"promised: {held:g} at a time")
    upper.set_ylim(0, asked * 1.25)
    lower.set_ylim(0, held * 1.35)
    middle.set_ylim(bottom=0)
    upper.set_ylabel(f"admitted in\nthe last {window_s:g} s")
    middle.set_ylabel("refused\na second")
    lower.set_ylabel("connections\nheld")
    lower.set_xlabel("seconds from the first request")
    lower.set_xlim(0, end)
    for axes in (upper, lower):
        axes.legend(
            loc="lower right", ncols=2, frameon=False, fontsize=7, labelcolor=GREY, title_fontsize=7
        )


def _step(
    axes: Axes, times: Floats, counts: Integers, end: float, number: int, address: str
) -> None:
    colour, dash, width = _LINES[number % len(_LINES)]
    axes.step(
        np.append(np.insert(times, 0, 0.0), end),
        np.append(np.insert(counts, 0, 0), counts[-1] if counts.size else 0),
        where="post",
        color=colour,
        linestyle=dash,
        linewidth=width,
        label=address,
    )
