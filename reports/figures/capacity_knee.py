"""At which load does latency bend?"""

import re

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from monitor.contract.evidence import Repeat
from monitor.contract.verdicts import RunVerdict
from reports.dossier import Dossier
from reports.exhibits import Plot, Section, figure
from reports.style import BLUE, GREY, ORANGE, VERMILLION, limit
from reports.wording import quantity, tick

#: What the scenario looks for: the label of its tries, the axis, its offered load, its answer.
_SEARCHES = (
    ("rate", "events offered a second", "events_offered_per_s", "capacity_events_per_s"),
    ("clients", "clients offered", "clients_offered", "capacity_clients"),
)
#: An objective on what is drawn, as the run's parameters tell it.
_OBJECTIVE = re.compile(r"\bresponse_p99_us (<=?) (\S+) us\b")


@figure(Section.CAPACITY, source="capacity")
def capacity_knee(dossier: Dossier) -> Plot | None:
    """Draw the 99th percentile of every try by the load it offered, one panel a search."""
    found = [
        (axis, answer, offered, tries)
        for label, axis, offered, answer in _SEARCHES
        if (tries := _tries(dossier, label, offered))
    ]
    if dossier.record.scenario != "capacity" or not found:
        return None
    return Plot(
        title=_title(dossier),
        alt=_alt(dossier, found),
        columns=("search", "offered", "p99_us", "deliveries_lost", "verdict"),
        rows=[
            (axis, f"{_value(one, offered):g}", f"{_p99(one):g}", f"{_lost(one):g}", one.verdict)
            for axis, _, offered, tries in found
            for one in tries
        ],
        draw=lambda canvas: _draw(canvas, dossier, found),
        height_in=3.2,
    )


_Found = list[tuple[str, str, str, list[Repeat]]]


def _tries(dossier: Dossier, label: str, offered: str) -> list[Repeat]:
    return sorted(
        (
            one
            for one in dossier.record.repeats
            if one.point.startswith(f"{label}_")
            and "response_p99_us" in one.metrics
            and offered in one.metrics
        ),
        key=lambda one: _value(one, offered),
    )


def _value(one: Repeat, name: str) -> float:
    return one.metrics[name].value


def _p99(one: Repeat) -> float:
    return one.metrics["response_p99_us"].value


def _lost(one: Repeat) -> float:
    lost = one.metrics.get("deliveries_lost")
    return lost.value if lost else 0.0


def _bounds_us(dossier: Dossier) -> list[tuple[str, float]]:
    """Return the upper bounds on the 99th percentile among the objectives that were given."""
    told = str(dossier.record.parameters.get("objectives") or "")
    return [(sign, float(bound)) for sign, bound in _OBJECTIVE.findall(told)]


def _stands(one: Repeat) -> bool:
    return one.verdict is not RunVerdict.INVALID


def _title(dossier: Dossier) -> str:
    answers = [
        f"{metric.value:,.0f} {words}"
        for name, words in (("capacity_events_per_s", "events/s"), ("capacity_clients", "clients"))
        if (metric := dossier.metric(name)) is not None and metric.value
    ]
    if not answers:
        return "The objectives were kept at no load that was tried"
    return f"The objectives were kept up to {' and up to '.join(answers)}"


def _alt(dossier: Dossier, found: _Found) -> str:
    told = (
        f"{axis} from {_value(tries[0], offered):,.0f} to {_value(tries[-1], offered):,.0f}: p99"
        f" from {quantity(_p99(tries[0]), 'us')} to {quantity(_p99(tries[-1]), 'us')}"
        for axis, _, offered, tries in found
    )
    return f"Scatter of latency by load. {_title(dossier)}. {'; '.join(told)}."


def _draw(canvas: Figure, dossier: Dossier, found: _Found) -> None:
    panels = canvas.subplots(1, len(found), squeeze=False, sharey=True)[0]
    for axes, (axis, answer, offered, tries) in zip(panels, found, strict=True):
        _panel(axes, tries, offered)
        axes.set_xlabel(axis)
        metric = dossier.metric(answer)
        if metric is not None and metric.value:
            axes.axvline(metric.value, color=GREY, linestyle=(0, (6, 2)), linewidth=1.2)
            axes.annotate(
                f" held: {metric.value:,.0f}",
                xy=(metric.value, 0.98),
                xycoords=axes.get_xaxis_transform(),
                va="top",
                size=8,
            )
        for sign, bound_us in _bounds_us(dossier):
            limit(axes, bound_us / 1e3, f"objective {sign} {tick(bound_us, 'us')}")
    panels[0].set_ylabel("response p99")


def _panel(axes: Axes, tries: list[Repeat], offered: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    looks = (
        ("nothing lost", [one for one in tries if _stands(one) and not _lost(one)], BLUE, "o"),
        ("lost deliveries", [one for one in tries if _stands(one) and _lost(one)], VERMILLION, "X"),
        ("INVALID try", [one for one in tries if not _stands(one)], "white", "o"),
    )
    axes.plot(
        [_value(one, offered) for one in tries],
        [_p99(one) / 1e3 for one in tries],
        color=ORANGE,
        linewidth=0.9,
        linestyle=(0, (2, 2)),
    )
    for name, members, colour, marker in looks:
        if members:
            axes.plot(
                [_value(one, offered) for one in members],
                [_p99(one) / 1e3 for one in members],
                linestyle="none",
                marker=marker,
                markerfacecolor=colour,
                markeredgecolor=GREY if colour == "white" else colour,
                markersize=5,
                label=name,
            )
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 3.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value * 1e3, "us")))
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.tick_params(axis="x", labelsize=7)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=7.5, borderpad=0
    )
