"""How our figures look: one palette, one type size, one way to draw a limit.

Colours are Okabe and Ito's, which stay apart for colour-blind readers; each also carries a second
cue (line style, width, text), so that figures can be read in greyscale.
"""

import textwrap
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

BLACK = "#000000"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREY = "#6B6B6B"
PALE = "#E4E4E4"
PALE_GREEN = "#8FD1BC"  # GREEN, lighter: dark signs stand on it, and darker fills stand out

WIDTH_IN = 6.3  # the text width of an A4 page with usual margins
_LINE_CHARACTERS = 80  # of title that fit into WIDTH_IN
_SMALL_CHARACTERS = 96  # of a bold subtitle

_RC: Mapping[Any, Any] = {
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so it is the same everywhere
    "font.size": 8.5,
    "axes.edgecolor": GREY,
    "axes.labelcolor": BLACK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": PALE,
    "grid.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": BLACK,
    "ytick.labelcolor": BLACK,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "hatch.linewidth": 0.6,
    "svg.hashsalt": "wsproof",
    "path.simplify": True,
}


def styled() -> AbstractContextManager[None]:
    """Return a context in which figures are made, drawn and saved in our style."""
    return mpl.rc_context(dict(_RC))


def new_figure(height_in: float) -> Figure:
    """Return an empty figure at column width, outside any interactive state."""
    return Figure(figsize=(WIDTH_IN, height_in), layout="constrained")


def headline(figure: Figure, title: str, subtitle: str, *, warn: bool) -> None:
    """Set the answer, and below it in small what was measured, flush left above the axes.

    `warn` makes the subtitle stand out: the figure must not travel without its reservation.
    """
    lines = textwrap.wrap(title, _LINE_CHARACTERS)
    size = figure.get_size_inches()
    line_in, small_in = 0.165, 0.17
    top = 1 - 0.06 / size[1]
    for number, line in enumerate(lines):
        y = top - number * line_in / size[1]
        figure.text(0.012, y, line, weight="bold", size=9.5, va="top")
    below = top - (len(lines) * line_in + 0.02) / size[1]
    colour, weight = (VERMILLION, "bold") if warn else (GREY, "normal")
    small = textwrap.wrap(subtitle, _SMALL_CHARACTERS, break_on_hyphens=False)
    for number, line in enumerate(part.removesuffix(" ·") for part in small):
        y = below - number * 0.14 / size[1]
        figure.text(0.012, y, line, size=7.5, color=colour, weight=weight, va="top")
    room = (len(lines) * line_in + small_in + (len(small) - 1) * 0.14 + 0.12) / size[1]
    engine = figure.get_layout_engine()
    assert engine is not None  # noqa: S101 - new_figure gave it one
    engine.set(rect=(0, 0, 0.985, 1 - room))  # type: ignore[call-arg]


def limit(axes: Axes, bound: float, text: str, *, below: bool = False, x: float = 0.995) -> None:
    """Draw a claim's bound across the axes, labelled on the line."""
    axes.axhline(bound, color=VERMILLION, linewidth=1.3, linestyle=(0, (6, 2)), zorder=4)
    axes.annotate(
        text,
        xy=(x, bound),
        xycoords=axes.get_yaxis_transform(),
        xytext=(0, -3 if below else 3),
        textcoords="offset points",
        ha="right" if x > 0.5 else "left",
        va="top" if below else "bottom",
        color=VERMILLION,
        size=8,
        zorder=6,
        path_effects=[withStroke(linewidth=2.5, foreground="white")],
    )
