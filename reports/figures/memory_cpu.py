"""How much memory and CPU does the service need under load, and what drove it?"""

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
def memory_cpu(dossier: Dossier) -> Plot | None:
    """Draw memory and CPU over the run: the target with its claim, the generator beside it."""
    resources = _readable(dossier.resources)
    if resources is None or "target" not in resources.roles:
        return None
    claims = dossier.claims_on("target_rss_")

    def draw(canvas: Figure) -> None:
        upper, middle, lower = canvas.subplots(3, 1, sharex=True, height_ratios=(3, 2, 2))
        _panel(upper, resources, ("target",), claims)
        others = tuple(role for role in resources.roles if role != "target")
        _panel(middle, resources, others, ())
        _cpu_panel(lower, resources)
        _number_repeats(upper, resources)
        lower.set_xlabel("seconds from the start of the run")

    return Plot(
        title=_title(dossier, resources.roles["target"], claims),
        alt=_alt(resources),
        columns=("role", "at_s", "rss_bytes", "cpu_percent"),
        rows=list(_rows(resources)),
        draw=draw,
        height_in=4.9,
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
    busy = (
        f"{role} {quantity(float(np.nanmedian(usage.cpu_percent)), 'percent')}"
        for role, usage in resources.roles.items()
        if not np.isnan(usage.cpu_percent).all()
    )
    return (
        f"Line charts over the run. Resident memory: {', '.join(peaks)}. Median CPU, of one core:"
        f" {', '.join(busy) or 'not readable'}."
    )


def _rows(resources: Resources) -> Iterator[tuple[str, str, str, str]]:
    for role, usage in resources.roles.items():
        for at, rss, cpu in zip(usage.at_s, usage.rss_bytes, usage.cpu_percent, strict=True):
            yield (
                role,
                f"{at:g}",
                "" if np.isnan(rss) else f"{rss:.0f}",
                "" if np.isnan(cpu) else f"{cpu:.1f}",
            )


def _panel(
    axes: Axes, resources: Resources, roles: tuple[str, ...], claims: tuple[Claim, ...]
) -> None:
    _shade_repeats(axes, resources)
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


def _cpu_panel(axes: Axes, resources: Resources) -> None:
    """Draw CPU a second, each role's name above the panel in its colour and dash."""
    _shade_repeats(axes, resources)
    keys = []
    for role, usage in resources.roles.items():
        colour, dash, name = _ROLES.get(role, (GREY, "-", role))
        seconds, busy = _by_second(usage)
        (line,) = axes.plot(seconds, busy, color=colour, linestyle=dash, linewidth=1.4, label=name)
        keys.append(line)
    axes.axhline(100, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set_ylim(0, 125)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} %"))
    axes.set_ylabel("CPU, of one core")
    axes.grid(visible=False, axis="x")
    axes.legend(handles=keys, loc="upper right", ncols=3, frameon=False, fontsize=7.5)


def _by_second(usage: Usage) -> tuple[Floats, Floats]:
    """Return whole seconds and the mean CPU of each; a hole where no process was sampled."""
    known = ~np.isnan(usage.cpu_percent)
    if not known.any():
        return np.array([]), np.array([])
    second = np.floor(usage.at_s[known]).astype(np.int64)
    count = np.bincount(second)
    total = np.bincount(second, weights=usage.cpu_percent[known])
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return np.arange(len(mean), dtype=np.float64) + 0.5, mean.astype(np.float64)


def _shade_repeats(axes: Axes, resources: Resources) -> None:
    for number, (_, start, end) in enumerate(resources.repeats):
        if number % 2 == 0:
            axes.axvspan(start, end, color=PALE, alpha=0.55, linewidth=0, zorder=0)


def _broken_at_gaps(usage: Usage) -> tuple[Floats, Floats]:
    """Return times and megabytes with a hole wherever no process was there to be sampled."""
    steps = np.diff(usage.at_s)
    usual = np.median(steps) if len(steps) else 0.0
    gaps = np.flatnonzero(steps > 3 * usual) + 1
    at_s = np.insert(usage.at_s, gaps, np.nan)
    return at_s, np.insert(usage.rss_bytes / _MB, gaps, np.nan)


def _name_line(axes: Axes, usage: Usage, name: str, colour: str) -> None:
    last = np.flatnonzero(~np.isnan(usage.rss_bytes))[-1]
    axes.annotate(
        name,
        xy=(usage.at_s[last], usage.rss_bytes[last] / _MB),
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
