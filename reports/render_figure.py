"""Draws a plot into files: PNG and SVG for readers, CSV for whoever wants to check or redraw it.

The same plot gives the same bytes: no date, no version, no random ids in any of them.
"""

import csv
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg

from monitor.contract.evidence import RunRecord
from monitor.contract.verdicts import RunVerdict
from reports.exhibits import Plot
from reports.style import headline, new_figure, styled

_DPI = 200


def render_figure(plot: Plot, record: RunRecord, folder: Path, name: str) -> None:
    """Write `name`.png, .svg and .csv into `folder`, each picture naming its run and target."""
    with styled():
        figure = new_figure(plot.height_in)
        FigureCanvasAgg(figure)
        headline(figure, plot.title, _subtitle(record), warn=record.verdict is not RunVerdict.VALID)
        plot.draw(figure)
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Title": plot.title})
        figure.savefig(folder / f"{name}.png", dpi=_DPI, metadata={"Software": None})
    with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(plot.columns)
        writer.writerows(plot.rows)


def _subtitle(record: RunRecord) -> str:
    reservation = "" if record.verdict is RunVerdict.VALID else f"{record.verdict} RUN · "
    return f"{reservation}{record.target} · scenario {record.scenario} · run {record.id}"
