"""How long do clients wait for an event, out to the slowest?"""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from monitor.contract.claims import Claim
from reports.dossier import Dossier, Latency
from reports.exhibits import Plot, Section, figure
from reports.latency import Distribution, Floats
from reports.style import BLACK, BLUE, GREY, ORANGE, PALE, limit
from reports.wording import quantity, tick

#: Beyond this many independent events per quantile step a curve says nothing about the service:
#: it takes ten events above a percentile to place it.
_EVENTS_BEYOND = 10


@figure(Section.LATENCY)
def latency_percentiles(dossier: Dossier) -> Plot | None:
    """Draw response and service time by percentile, from the exact buckets."""
    response, service = dossier.response, dossier.service
    if response is None:
        return None
    claims = dossier.claims_on("response_")
    kinds = [("response", response)] + ([("service", service)] if service else [])
    trusted = _trusted_odds(dossier)

    def draw(canvas: Figure) -> None:
        axes = canvas.subplots()
        for kind, latency in kinds:
            _curves(axes, kind, latency)
        _frame(axes, response.merged, claims, trusted)

    return Plot(
        title=_title(dossier, response.merged, claims),
        alt=_alt(response, service),
        columns=("latency", "repeat", "percentile", "latency_us"),
        rows=[row for kind, latency in kinds for row in _rows(kind, latency)],
        draw=draw,
        height_in=3.9,
    )


def _title(dossier: Dossier, merged: Distribution, claims: tuple[Claim, ...]) -> str:
    p99 = dossier.metric("response_p99_us")
    value = p99.value if p99 else merged.percentile(0.99)
    repeats = len(p99.repeats) if p99 else 0
    typical = "Median repeat: " if repeats > 1 else ""
    answer = f"{typical}99 % of deliveries within {quantity(value, 'us')}"
    mean = dossier.metric("response_mean_us")
    if mean is None:
        return answer
    answer += f", mean {quantity(mean.value, 'us')}"
    about_mean = [claim for claim in claims if claim.metric == "response_mean_us"]
    return answer + "".join(f", claimed {claim.claimed}" for claim in about_mean)


def _alt(response: Latency, service: Latency | None) -> str:
    def read(name: str, latency: Latency) -> str:
        at = latency.merged.percentile
        return (
            f"{name} {quantity(at(0.5), 'us')} at the median, {quantity(at(0.99), 'us')} at the"
            f" 99th percentile, {quantity(latency.merged.max, 'us')} at most"
        )

    parts = [read("response time", response)] + ([read("service time", service)] if service else [])
    return (
        "Line chart of latency by percentile, each repeat thin and all merged bold: "
        + "; ".join(parts)
        + "."
    )


def _rows(kind: str, latency: Latency) -> Iterator[tuple[str, str, str, str]]:
    named = [(str(number), each) for number, each in latency.repeats.items()]
    for repeat, distribution in [*named, ("all", latency.merged)]:
        odds, values = _drawn(*distribution.curve())
        for one, value_ms in zip(odds, values, strict=True):
            yield kind, repeat, f"{100 * (1 - 1 / one):.6f}", f"{value_ms * 1e3:.0f}"


def _curves(axes: Axes, kind: str, latency: Latency) -> None:
    colour, dash = (BLUE, "-") if kind == "response" else (ORANGE, (0, (3, 1.2)))
    for distribution in latency.repeats.values():
        axes.step(
            *_drawn(*distribution.curve()), where="post", color=colour, linewidth=0.6, alpha=0.45
        )
    axes.step(
        *_drawn(*latency.merged.curve()),
        where="post",
        color=colour,
        linewidth=2.2 if kind == "response" else 1.4,
        linestyle=dash,
        zorder=5,
    )


def _drawn(odds: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Return the points that can be told apart at print size, in milliseconds.

    The first of each thousandth of a decade is kept, and the last point: a step in the curve
    moves by less than a tenth of a point of type.
    """
    cells = np.floor(np.log10(odds) * 1000)
    keep = np.append(np.diff(cells, prepend=-1.0)[:-1] > 0, [True])
    return odds[keep], np.maximum(values[keep], 1.0) / 1e3


def _frame(
    axes: Axes, merged: Distribution, claims: tuple[Claim, ...], trusted: float | None
) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(1, merged.count * 1.6)
    decades = range(int(np.log10(merged.count)) + 1)
    ticks = [2.0] + [10.0**decade for decade in decades if decade]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(_percent))
    axes.set_xlabel("deliveries at least this fast (scale widens towards the slowest)")
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value * 1e3, "us")))
    axes.set_ylabel("latency")
    for claim in claims:
        # Beside the curve: left of where it rises, or right of a curve that rose early.
        x = 0.01 if merged.percentile(0.9) < claim.bound else 0.995
        limit(axes, claim.bound / 1e3, f"claim: {_statistic(claim)} {claim.claimed}", x=x)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high * 1.25)
    if trusted is not None and trusted < merged.count:
        _untrusted(axes, trusted)
    _labels(axes)


def _labels(axes: Axes) -> None:
    key = [
        axes.plot([], [], color=BLUE, linewidth=2.2)[0],
        axes.plot([], [], color=ORANGE, linewidth=1.4, linestyle=(0, (3, 1.2)))[0],
        axes.plot([], [], color=BLUE, linewidth=0.6, alpha=0.6)[0],
    ]
    words = ["response time, from due", "service time, from sent", "thin: each repeat"]
    axes.legend(key, words, loc="lower right", frameon=False, fontsize=8, labelcolor=BLACK)


def _untrusted(axes: Axes, trusted: float) -> None:
    axes.axvspan(trusted, axes.get_xlim()[1], color=PALE, alpha=0.6, linewidth=0, zorder=0)
    axes.annotate(
        f"grey: fewer than {_EVENTS_BEYOND} events beyond",
        xy=(1, 1),
        xycoords="axes fraction",
        xytext=(0, 2),
        textcoords="offset points",
        size=7,
        color=GREY,
        ha="right",
        va="bottom",
    )


def _trusted_odds(dossier: Dossier) -> float | None:
    """Return the 1/(1-p) up to which enough independent events stand behind the merged curve.

    Copies of one event share its fate, so events count here, not deliveries.
    """
    if dossier.rates is None:
        return None
    events = float((dossier.rates.delivered * dossier.rates.lengths_s).sum())
    return max(events / _EVENTS_BEYOND, 1.0)


def _statistic(claim: Claim) -> str:
    return claim.metric.removeprefix("response_").removesuffix("_us")


def _percent(odds: float, _: object) -> str:
    digits = max(0, round(np.log10(odds)) - 2)
    return f"{100 * (1 - 1 / odds):.{digits}f} %"
