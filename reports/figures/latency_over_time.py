"""Does latency hold steady, or does it drift and spike over the run?"""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter, LogLocator, NullLocator

from monitor.contract.claims import Claim
from reports.dossier import Dossier
from reports.exhibits import Plot, Section, figure
from reports.series import Course, Floats, course
from reports.style import BLUE, GREY, ORANGE, limit
from reports.wording import quantity, tick

_GAP_S = 0.6  # drawn between repeats
#: What is drawn: name, field, colour, dash, width.
_LINES = (
    ("p50", "p50_us", BLUE, "-", 1.8),
    ("p99", "p99_us", ORANGE, (0, (4, 1.5)), 1.5),
    ("max", "max_us", GREY, (0, (1, 1)), 1.1),
)


@figure(Section.LATENCY)
def latency_over_time(dossier: Dossier) -> Plot | None:
    """Draw median, 99th percentile and maximum of every interval, repeat after repeat."""
    found = course(dossier.run)
    if found is None or np.isnan(found.p50_us).all():
        return None
    claims = dossier.claims_on("response_")
    return Plot(
        title=_title(found),
        alt=_alt(found),
        columns=("repeat", "at_s", "p50_us", "p99_us", "max_us"),
        rows=list(_rows(found)),
        draw=lambda canvas: _draw(canvas, found, claims),
        height_in=3.3,
    )


def _title(found: Course) -> str:
    worst = np.nanmax(found.p99_us)
    return f"In the worst interval 99 % of deliveries took at most {quantity(worst, 'us')}"


def _alt(found: Course) -> str:
    spans = (
        f"{name} between {quantity(float(np.nanmin(values)), 'us')} and"
        f" {quantity(float(np.nanmax(values)), 'us')}"
        for name, field, *_ in _LINES
        if not np.isnan(values := getattr(found, field)).all()
    )
    return f"Line chart of response time over each repeat: {', '.join(spans)}."


def _rows(found: Course) -> Iterator[tuple[str, ...]]:
    fields = (found.at_s, found.p50_us, found.p99_us, found.max_us)
    for number, *figures in zip(found.repeat, *fields, strict=True):
        yield str(number), *("" if np.isnan(one) else f"{one:g}" for one in figures)


def _draw(canvas: Figure, found: Course, claims: tuple[Claim, ...]) -> None:
    axes = canvas.subplots()
    axes.set_yscale("log")
    middles, labels, left = [], [], 0.0
    for number in np.unique(found.repeat):
        here = found.repeat == number
        at_s = left + found.at_s[here] + found.interval_s[here] / 2
        for _, field, colour, dash, width in _LINES:
            _line(axes, at_s, getattr(found, field)[here], colour, dash, width)
        middles.append(float(at_s.mean()))
        labels.append(f"repeat {number}")
        left = float(at_s[-1]) + _GAP_S
    for claim in claims:
        limit(axes, claim.bound / 1e3, f"claim: {claim.label.lower()} {claim.claimed}")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * 3)
    axes.xaxis.set_major_locator(FixedLocator(middles))
    axes.xaxis.set_major_formatter(FixedFormatter(labels))
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 3.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value * 1e3, "us")))
    axes.set_ylabel("response time")
    keys = [
        axes.plot([], [], color=colour, linestyle=dash, linewidth=width)[0]
        for *_, colour, dash, width in _LINES
    ]
    words = [f"{name} of the interval" for name, *_ in _LINES]
    axes.legend(keys, words, loc="upper left", ncols=3, frameon=False, fontsize=8)


def _line(
    axes: Axes, at_s: Floats, values_us: Floats, colour: str, dash: object, width: float
) -> None:
    axes.plot(
        at_s,
        np.maximum(values_us, 1.0) / 1e3,
        color=colour,
        linestyle=dash,
        linewidth=width,
        marker="o" if len(at_s) == 1 else None,  # a line of one point would not be seen
        markersize=3,
    )
