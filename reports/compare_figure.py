"""How do the latencies of two runs differ, out to the slowest?"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from monitor.contract.evidence import Run
from monitor.contract.verdicts import NoVerdictError
from reports.dossier import Latency, open_dossier
from reports.exhibits import Plot
from reports.render_figure import render_figure
from reports.style import BLUE, ORANGE
from reports.wording import quantity, tick

_NAME = "comparison"


def draw_comparison(before: Run, after: Run, folder: Path) -> Path:
    """Draw both runs' percentile curves into `folder` and return the PNG.

    Raises:
        NoVerdictError: a run has no latencies.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = [(run, open_dossier(run, ()).response) for run in (before, after)]
    parts: list[tuple[str, Latency]] = []
    for run, latency in found:
        if latency is None:
            raise NoVerdictError(f"run {run.record.id}: no latencies to draw")
        parts.append((run.record.id, latency))
    render_figure(_plot(parts), after.record, folder, _NAME)
    return folder / f"{_NAME}.png"


def _plot(parts: list[tuple[str, Latency]]) -> Plot:
    p99 = [latency.merged.percentile(0.99) for _, latency in parts]
    title = f"99 % of deliveries within {quantity(p99[0], 'us')} before and"
    return Plot(
        title=f"{title} {quantity(p99[1], 'us')} after",
        alt=f"Latency by percentile of two runs: {title} {quantity(p99[1], 'us')} after.",
        columns=("run", "one_in", "latency_us"),
        rows=[
            (name, f"{odds:.6g}", int(value))
            for name, latency in parts
            for odds, value in zip(*latency.merged.curve(), strict=True)
        ],
        draw=lambda canvas: _draw(canvas, parts),
    )


def _draw(canvas: Figure, parts: list[tuple[str, Latency]]) -> None:
    axes = canvas.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")
    looks = ((BLUE, "-", "before"), (ORANGE, (0, (4, 1.5)), "after"))
    for (run, latency), (colour, dash, name) in zip(parts, looks, strict=True):
        for repeat in latency.repeats.values():
            odds, values = repeat.curve()
            axes.step(odds, np.maximum(values, 1) / 1e3, color=colour, linewidth=0.5, alpha=0.4)
        odds, values = latency.merged.curve()
        axes.step(
            odds,
            np.maximum(values, 1) / 1e3,
            where="post",
            color=colour,
            linestyle=dash,
            linewidth=1.8,
            label=f"{name}: {run}",
        )
    axes.set_xlim(left=1)
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value * 1e3, "us")))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"1 in {value:,.0f}"))
    axes.tick_params(axis="x", labelsize=7)  # a million in full beside its neighbours
    axes.set_ylabel("response time")
    axes.set_xlabel("slower than this: one delivery in …")
    axes.legend(loc="lower right", frameon=False, fontsize=7.5)
