"""Does every client get every event, at the rate they are offered?"""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter

from monitor.contract.claims import Claim
from reports.dossier import Dossier
from reports.exhibits import Plot, Section, figure
from reports.series import Floats, Rates
from reports.style import BLUE, GREY, PALE, VERMILLION, limit
from reports.wording import quantity

_GAP_S = 1.0  # drawn between repeats
_OFFERED_DASH = (0, (2, 1))
_SHORT_HATCH = "////"


@figure(Section.DELIVERY)
def offered_delivered(dossier: Dossier) -> Plot | None:
    """Draw offered against delivered events per second, repeat after repeat."""
    rates = dossier.rates
    if rates is None:
        return None
    claims = dossier.claims_on("events_per_s")
    return Plot(
        title=_title(dossier),
        alt=_alt(rates),
        columns=("repeat", "at_s", "offered_events_per_s", "delivered_events_per_s"),
        rows=[
            (int(repeat), f"{start:g}", f"{offered:.6g}", f"{delivered:.6g}")
            for repeat, start, offered, delivered in zip(
                rates.repeat, rates.starts_s, rates.offered, rates.delivered, strict=True
            )
        ],
        draw=lambda canvas: _draw(canvas.subplots(), rates, claims),
        height_in=3.1,
    )


def _title(dossier: Dossier) -> str:
    rate, offered = dossier.metric("events_per_s"), dossier.metric("events_offered_per_s")
    if rate is None or offered is None:
        return "Events offered and delivered to every client"
    delivered = quantity(rate.value, "events/s")
    lost = dossier.metric("deliveries_lost")
    if lost is None:
        return f"Of {quantity(offered.value, 'events/s')} offered, every client got {delivered}"
    count = f"{quantity(lost.value, 'deliveries')} deliveries were" if lost.value else "nothing was"
    return (
        f"Of {quantity(offered.value, 'events/s')} offered, every client got {delivered};"
        f" {count} lost"
    )


def _alt(rates: Rates) -> str:
    return (
        "Step chart of events per second, one panel a repeat: offered between"
        f" {quantity(rates.offered.min(), 'events/s')} and"
        f" {quantity(rates.offered.max(), 'events/s')}, delivered to every client between"
        f" {quantity(rates.delivered.min(), 'events/s')} and"
        f" {quantity(rates.delivered.max(), 'events/s')}."
    )


def _draw(axes: Axes, rates: Rates, claims: tuple[Claim, ...]) -> None:
    middles, labels = [], []
    for number, edges, offered, delivered in _repeats(rates):
        axes.stairs(offered, edges, fill=True, color=PALE, zorder=1)
        axes.stairs(
            np.maximum(offered, delivered),
            edges,
            baseline=delivered,
            fill=True,
            facecolor="white",
            edgecolor=VERMILLION,
            hatch=_SHORT_HATCH,
            linewidth=0,
            zorder=2,
        )
        axes.stairs(offered, edges, color=GREY, linestyle=_OFFERED_DASH, baseline=None, zorder=3)
        axes.stairs(delivered, edges, color=BLUE, linewidth=1.8, baseline=None, zorder=5)
        middles.append((edges[0] + edges[-1]) / 2)
        labels.append(f"repeat {number}")
    for claim in claims:
        limit(axes, claim.bound, f"claim: {claim.claimed} events/s", below=True)
    highest = max(float(rates.offered.max()), *(claim.bound for claim in claims), 1.0)
    axes.set_ylim(0, highest * 1.25)
    axes.xaxis.set_major_locator(FixedLocator(middles))
    axes.xaxis.set_major_formatter(FixedFormatter(labels))
    axes.tick_params(axis="x", length=0)
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylabel("events per second")
    axes.set_xlabel(f"measured windows of {_longest(rates):.3g} s, one after another")
    _key(axes, short=bool((rates.offered > rates.delivered).any()))


def _repeats(rates: Rates) -> Iterator[tuple[int, Floats, Floats, Floats]]:
    """Yield each repeat's number, bin edges on one common axis, and its two rates."""
    left = 0.0
    for number in np.unique(rates.repeat):
        picked = rates.repeat == number
        edges = left + np.append(0.0, np.cumsum(rates.lengths_s[picked]))
        yield int(number), edges, rates.offered[picked], rates.delivered[picked]
        left = float(edges[-1]) + _GAP_S


def _longest(rates: Rates) -> float:
    return float(np.bincount(rates.repeat, weights=rates.lengths_s).max())


def _key(axes: Axes, *, short: bool) -> None:
    offered = axes.plot([], [], color=GREY, linestyle=_OFFERED_DASH)[0]
    delivered = axes.plot([], [], color=BLUE, linewidth=1.8)[0]
    entries: list[tuple[object, str]] = [
        (delivered, "delivered to every client"),
        (offered, "offered"),
    ]
    if short:
        patch = Patch(facecolor="white", edgecolor=VERMILLION, hatch=_SHORT_HATCH, linewidth=0)
        entries.append((patch, "offered, not delivered to every client"))
    handles, words = zip(*entries, strict=True)
    axes.legend(handles, words, loc="upper left", ncols=3, frameon=False, fontsize=8)
