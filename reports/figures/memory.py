"""How much memory does the service need while it is under load, and what drove it?"""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from monitor.contract.claims import Claim
from reports.dossier import Dossier
from reports.exhibits import Plot, Section, figure
from reports.series import Floats, Resources, Usage
from reports.style import BLUE, GREEN, GREY, ORANGE, PALE, limit
from reports.wording import quantity

_MB = 1e6
#: How each role is drawn: colour, line style, name on the line.
_ROLES = {
    "target": (BLUE, "-", "target"),
    "generator": (ORANGE, (0, (5, 1.5)), "generator"),
    "publisher": (GREEN, (0, (1.5, 1)), "publisher"),
}


@figure(Section.RESOURCES)
def memory(dossier: Dossier) -> Plot | None:
    """Draw resident memory over the run: the target with its claim, the generator apart."""
    resources = _readable(dossier.resources)
    if resources is None or "target" not in resources.roles:
        return None
    claims = dossier.claims_on("target_rss_")

    def draw(canvas: Figure) -> None:
        upper, lower = canvas.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _panel(upper, resources, ("target",), claims)
        others = tuple(role for role in resources.roles if role != "target")
        _panel(lower, resources, others, ())
        _number_repeats(upper, resources)
        lower.set_xlabel("seconds from the start of the run")

    return Plot(
        title=_title(dossier, resources.roles["target"], claims),
        alt=_alt(resources),
        columns=("role", "at_s", "rss_bytes"),
        rows=list(_rows(resources)),
        draw=draw,
        height_in=3.9,
    )


def _readable(resources: Resources | None) -> Resources | None:
    """Return the resources without the roles whose memory was never readable."""
    if resources is None:
        return None
    roles = {
        role: usage
        for role, usage in resources.roles.items()
        if not np.isnan(usage.rss_bytes).all()
    }
    return Resources(roles, resources.repeats)


def _title(dossier: Dossier, target: Usage, claims: tuple[Claim, ...]) -> str:
    peak = dossier.metric("target_rss_peak_bytes")
    value = peak.value if peak else float(np.nanmax(target.rss_bytes))
    deaths = dossier.metric("target_deaths")
    died = " before it died" if deaths and deaths.value else ""
    title = f"The target needed at most {quantity(value, 'bytes')} of memory{died}"
    return title + "".join(f", claimed {claim.claimed}" for claim in claims)


def _alt(resources: Resources) -> str:
    peaks = (
        f"{role} at most {quantity(float(np.nanmax(usage.rss_bytes)), 'bytes')}"
        for role, usage in resources.roles.items()
    )
    return f"Line chart of resident memory over the run: {', '.join(peaks)}."


def _rows(resources: Resources) -> Iterator[tuple[str, str, str]]:
    for role, usage in resources.roles.items():
        for at, rss in zip(usage.at_s, usage.rss_bytes, strict=True):
            yield role, f"{at:g}", "" if np.isnan(rss) else f"{rss:.0f}"


def _panel(
    axes: Axes, resources: Resources, roles: tuple[str, ...], claims: tuple[Claim, ...]
) -> None:
    for number, (_, start, end) in enumerate(resources.repeats):
        if number % 2 == 0:
            axes.axvspan(start, end, color=PALE, alpha=0.55, linewidth=0, zorder=0)
    highest = 0.0
    for role in roles:
        colour, dash, name = _ROLES.get(role, (GREY, "-", role))
        usage = resources.roles[role]
        axes.plot(*_broken_at_gaps(usage), color=colour, linestyle=dash, linewidth=1.6)
        highest = max(highest, float(np.nanmax(usage.rss_bytes)) / _MB)
        _name_line(axes, usage, name, colour)
    for claim in claims:
        limit(axes, claim.bound / _MB, f"claim: {claim.claimed}", below=True)
    axes.set_ylim(0, max(highest, *(claim.bound / _MB for claim in claims), 1.0) * 1.2)
    axes.set_xlim(0, max(float(usage.at_s[-1]) for usage in resources.roles.values()))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f} MB"))
    axes.set_ylabel("resident memory")
    axes.grid(visible=False, axis="x")


def _broken_at_gaps(usage: Usage) -> tuple[Floats, Floats]:
    """Return times and megabytes with a hole wherever no process was there to be sampled."""
    steps = np.diff(usage.at_s)
    usual = np.median(steps) if len(steps) else 0.0
    gaps = np.flatnonzero(steps > 3 * usual) + 1
    at_s = np.insert(usage.at_s, gaps, np.nan)
    return at_s, np.insert(usage.rss_bytes / _MB, gaps, np.nan)


def _name_line(axes: Axes, usage: Usage, name: str, colour: str) -> None:
    axes.annotate(
        name,
        xy=(usage.at_s[-1], usage.rss_bytes[-1] / _MB),
        xytext=(-4, 4),
        textcoords="offset points",
        ha="right",
        va="bottom",
        color=colour,
        weight="bold",
        size=8.5,
    )


def _number_repeats(axes: Axes, resources: Resources) -> None:
    for number, start, end in resources.repeats:
        axes.annotate(
            f"repeat {number}",
            xy=((start + end) / 2, 0.02),
            xycoords=axes.get_xaxis_transform(),
            ha="center",
            va="bottom",
            size=7.5,
            color=GREY,
        )
