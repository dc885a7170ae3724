"""Verdicts as tiles: one look for every figure of the gate, told by sign as well as by colour."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from monitor.contract.verdicts import Verdict
from reports.style import BLACK, BLUE, GREY, ORANGE, PALE, PALE_GREEN, VERMILLION


@dataclass(frozen=True, slots=True)
class Look:
    """How a verdict is drawn. What needs a look stands out in greyscale too: dark, and framed."""

    fill: str
    sign: str
    ink: str = BLACK
    framed: bool = False


LOOKS = {
    Verdict.PASS: Look(PALE_GREEN, "✓"),
    Verdict.FAIL: Look(VERMILLION, "✗", "white", framed=True),
    Verdict.INCONCLUSIVE: Look(ORANGE, "?", framed=True),
    Verdict.WAIVED: Look(BLUE, "w", "white"),
    Verdict.NOT_APPLICABLE: Look(PALE, "–"),
    Verdict.NOT_RUN: Look("white", "·"),
}

#: What stands for a check that said several things of one service: the worst of them.
_WORST_FIRST = (
    Verdict.FAIL,
    Verdict.INCONCLUSIVE,
    Verdict.NOT_RUN,
    Verdict.WAIVED,
    Verdict.PASS,
    Verdict.NOT_APPLICABLE,
)

_ROW_IN = 0.135
_PANELS = 3


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict that must not be hidden by the others; there is at least one."""
    return min(verdicts, key=_WORST_FIRST.index)


def key() -> str:
    """Return what each sign means, in one line."""
    return "   ".join(f"{look.sign} {word}" for word, look in LOOKS.items())


def draw_tile(
    axes: Axes, at: tuple[int, int], verdict: Verdict, size: float, text: str = ""
) -> None:
    """Draw one verdict into the unit square at `at`, its sign before `text` in points `size`."""
    look, (x, y) = LOOKS[verdict], at
    axes.add_patch(
        Rectangle(
            (x + 0.04, y + 0.06),
            *(0.92, 0.88),
            facecolor=look.fill,
            edgecolor=BLACK if look.framed else GREY,
            lw=1.2 if look.framed else 0.3,
            zorder=2 if look.framed else 1,
        )
    )
    axes.text(
        *(x + 0.5, y + 0.52, f"{look.sign} {text}".strip()),
        ha="center",
        va="center",
        size=size,
        color=look.ink,
        weight="bold" if look.framed else "normal",
        zorder=3,
    )


def grid_height_in(checks: int) -> float:
    """Return the height a grid of so many checks needs, in inches."""
    return 1.75 + _ROW_IN * -(-checks // _PANELS)


def draw_grid(
    canvas: Figure,
    checks: Sequence[str],
    targets: Sequence[str],
    verdicts: Mapping[tuple[str, str], Verdict],
) -> None:
    """Draw one row a check and one column a target, in panels beside each other.

    `verdicts` is by check and target; what is not in it was not run there. Columns carry letters,
    told below.
    """
    rows = -(-len(checks) // _PANELS)
    for number, axes in enumerate(canvas.subplots(1, _PANELS)):
        shown = checks[number * rows : (number + 1) * rows]
        _panel(axes, shown, targets, verdicts, rows)
    letters = "   ".join(f"{_letter(at)} {name}" for at, name in enumerate(targets))
    canvas.supxlabel(f"{letters}\n{key()}", size=6.8, color=GREY)


def _panel(
    axes: Axes,
    checks: Sequence[str],
    targets: Sequence[str],
    verdicts: Mapping[tuple[str, str], Verdict],
    rows: int,
) -> None:
    for x, _ in enumerate(targets):
        axes.text(x + 0.5, -0.15, _letter(x), ha="center", va="bottom", size=7, weight="bold")
    for y, check in enumerate(checks):
        axes.text(-0.15, y + 0.5, check, ha="right", va="center", size=6.5)
        for x, target in enumerate(targets):
            draw_tile(axes, (x, y), verdicts.get((check, target), Verdict.NOT_RUN), size=6)
    axes.set_xlim(-0.9, len(targets) + 0.1)
    axes.set_ylim(rows + 0.2, -1.2)
    axes.axis("off")


def _letter(at: int) -> str:
    return chr(ord("A") + at)
