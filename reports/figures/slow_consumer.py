"""Do readers that stall slow the others down, or fill the service's memory?"""

from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from reports.dossier import Dossier
from reports.exhibits import Plot, Section, figure
from reports.series import Course, Floats, course
from reports.style import BLUE, GREEN, GREY, ORANGE, PALE
from reports.wording import quantity, tick

_LOOKS = ((BLUE, "-"), (ORANGE, (0, (4, 1.5))), (GREEN, (0, (1, 1))), (GREY, (0, (3, 1, 1, 1))))


@figure(Section.CONNECTIONS, source="slow-consumer")
def slow_consumer(dossier: Dossier) -> Plot | None:
    """Draw the other readers' 99th percentile while some stall, a line a repeat."""
    found = course(dossier.run)
    slow = dossier.metric("clients_slow")
    began, ended = dossier.metric("stalled_from_s"), dossier.metric("stalled_to_s")
    if found is None or slow is None or began is None or ended is None:
        return None
    stalled = (began.value, ended.value)
    if np.isnan(found.p99_us).all():
        return None
    return Plot(
        title=_title(dossier, found, stalled),
        alt=_alt(dossier, found, stalled),
        columns=("repeat", "at_s", "p99_us"),
        rows=list(_rows(found)),
        draw=lambda canvas: _draw(canvas, found, stalled, int(slow.value)),
        height_in=3.2,
    )


def _during(found: Course, stalled: tuple[float, float]) -> tuple[float, float]:
    """Return the median 99th percentile while readers stall, and otherwise, in µs."""
    inside = (found.at_s >= stalled[0]) & (found.at_s < stalled[1])
    return float(np.nanmedian(found.p99_us[inside])), float(np.nanmedian(found.p99_us[~inside]))


def _title(dossier: Dossier, found: Course, stalled: tuple[float, float]) -> str:
    during, otherwise = _during(found, stalled)
    peak = dossier.metric("target_rss_peak_bytes")
    memory = f"; memory peaked at {quantity(peak.value, 'bytes')}" if peak else ""
    return (
        f"While readers stalled the others' p99 was {quantity(during, 'us')},"
        f" otherwise {quantity(otherwise, 'us')}{memory}"
    )


def _alt(dossier: Dossier, found: Course, stalled: tuple[float, float]) -> str:
    during, otherwise = _during(found, stalled)
    slow, thinned = dossier.metric("clients_slow"), dossier.metric("deliveries_slow_thinned")
    told = f"; the slow were told of {thinned.value:,.0f} deliveries left out" if thinned else ""
    return (
        "Line chart over each repeat of the 99th percentile of readers that kept reading:"
        f" {quantity(during, 'us')} while {slow.value if slow else 0:g} others stalled,"
        f" {quantity(otherwise, 'us')} otherwise{told}."
    )


def _rows(found: Course) -> Iterator[tuple[str, str, str]]:
    for number, at, value in zip(found.repeat, found.at_s, found.p99_us, strict=True):
        yield str(number), f"{at:g}", "" if np.isnan(value) else f"{value:g}"


def _draw(canvas: Figure, found: Course, stalled: tuple[float, float], slow: int) -> None:
    axes = canvas.subplots()
    axes.set_yscale("log")
    axes.axvspan(*stalled, color=PALE, linewidth=0, zorder=0)
    for index, number in enumerate(np.unique(found.repeat)):
        here = found.repeat == number
        colour, dash = _LOOKS[index % len(_LOOKS)]
        values: Floats = found.p99_us[here] / 1e3
        middles = found.at_s[here] + found.interval_s[here] / 2
        axes.plot(middles, values, color=colour, linestyle=dash, marker="o", markersize=2.5)
        axes.plot([], [], color=colour, linestyle=dash, label=f"repeat {number}")
    low, high = axes.get_ylim()
    axes.set_ylim(low / 1.5, high * 2.5)
    axes.annotate(
        f"{slow} readers do not read",
        xy=(sum(stalled) / 2, 0.97),
        xycoords=axes.get_xaxis_transform(),
        ha="center",
        va="top",
        size=8,
        color=GREY,
    )
    axes.set_xlim(left=0)
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value * 1e3, "us")))
    axes.set_ylabel("response p99 of the others")
    axes.set_xlabel("seconds of the measured window")
    axes.legend(loc="lower right", ncols=4, frameon=False, fontsize=8)
