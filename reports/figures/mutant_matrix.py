"""Is each seeded flaw caught by the checks that should, and by no others?"""

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from monitor.contract.verdicts import Verdict
from reports.dossier import Dossier
from reports.exhibits import Plot, Section, figure
from reports.gate import Trial, check_key, trials
from reports.sources import MUTANTS
from reports.style import BLACK, BLUE, GREY, ORANGE, PALE, SKY, VERMILLION

#: How each outcome of a check on a flaw is drawn: fill and sign. Blank is a pass, as it should be.
_LOOKS = {
    "caught": (BLUE, ""),
    "missed": (VERMILLION, "×"),
    "undecided": (ORANGE, "?"),
    "stray": (BLACK, ""),
    "allowed": (SKY, ""),
}
_ROW_IN = 0.034
_NAME_ROWS = 2.4  # of a name beside its row


@figure(Section.SECURITY, source=MUTANTS)
def mutant_matrix(dossier: Dossier) -> Plot | None:
    """Draw flaw by check: what must be caught, what may be, what was missed or struck astray."""
    found = trials(dossier.run)
    if not found:
        return None
    rows = list(_rows(found))
    checks = sorted({row[2] for row in rows}, key=check_key)
    detected = sum(one.detected for one in found)
    strays = sum(bool(one.strays) for one in found)
    missed = ", ".join(one.mutant for one in found if not one.detected)
    also = f", {strays} by a check that should not" if strays else ""
    return Plot(
        title=f"{detected} of {len(found)} seeded flaws are caught{also}",
        alt=(
            f"Matrix of {len(found)} seeded flaws by {len(checks)} checks: {detected} caught by"
            f" every check that must, {strays} with a check that failed and should not."
            + (f" Not caught: {missed}." if missed else "")
        ),
        columns=("mutant", "flaw", "check", "outcome", "verdict"),
        rows=[(row[0], row[1], *row[2:]) for row in rows],
        draw=lambda canvas: _draw(canvas, found, checks, rows),
        height_in=1.5 + _ROW_IN * len(found),
    )


def _rows(found: Sequence[Trial]) -> Iterator[tuple[str, str, str, str, str]]:
    for one in found:
        for check in sorted({*one.verdicts, *one.caught_by}, key=check_key):
            verdict = one.verdicts.get(check, Verdict.NOT_RUN)
            yield one.mutant, one.flaw, check, _outcome(one, check, verdict), str(verdict)


def _outcome(trial: Trial, check: str, verdict: Verdict) -> str:
    if check in trial.caught_by:
        undecided = verdict in {Verdict.INCONCLUSIVE, Verdict.NOT_RUN}
        return "caught" if verdict is Verdict.FAIL else "undecided" if undecided else "missed"
    if verdict is not Verdict.FAIL:
        return "quiet"
    return "stray" if check in trial.strays else "allowed"


def _draw(
    canvas: Figure,
    found: Sequence[Trial],
    checks: Sequence[str],
    rows: Sequence[tuple[str, str, str, str, str]],
) -> None:
    axes = canvas.subplots()
    at = {check: x for x, check in enumerate(checks)}
    line = {one.mutant: y for y, one in enumerate(found)}
    for mutant, _, check, outcome, _ in rows:
        if outcome in _LOOKS:
            fill, sign = _LOOKS[outcome]
            x, y = at[check], line[mutant]
            axes.add_patch(Rectangle((x, y), 1, 1, facecolor=fill, edgecolor="white", lw=0.2))
            axes.text(x + 0.5, y + 0.55, sign, ha="center", va="center", size=3.5, color=BLACK)
    _bands(axes, checks, len(found))
    below = 0.0
    for one in found:
        if one.strays or not one.detected:
            beside = max(line[one.mutant] + 0.5, below)  # names of neighbours move apart
            axes.text(
                len(checks) + 0.5, beside, one.mutant, va="center", size=4.5, color=VERMILLION
            )
            below = beside + _NAME_ROWS
    axes.set_xlim(0, len(checks))
    axes.set_ylim(len(found), 0)
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_ylabel(f"{len(found)} seeded flaws, by the checks that must catch them", size=7.5)
    told = (
        ("caught", "must catch, caught"),
        ("allowed", "may catch, caught"),
        ("missed", "× missed"),
        ("undecided", "? no verdict"),
        ("stray", "should not catch"),
    )
    patches = [Rectangle((0, 0), 1, 1, facecolor=_LOOKS[name][0]) for name, _ in told]
    axes.legend(
        patches,
        [words for _, words in told],
        loc="upper center",
        bbox_to_anchor=(0.5, -0.01),
        ncols=5,
        frameon=False,
        fontsize=7,
    )


def _bands(axes: Axes, checks: Sequence[str], height: int) -> None:
    """Tell the categories of checks along the top, every other one shaded."""
    categories = [check_key(check)[0] for check in checks]
    for number, category in enumerate(dict.fromkeys(categories)):
        first, count = categories.index(category), categories.count(category)
        if number % 2:
            axes.add_patch(
                Rectangle((first, 0), count, height, facecolor=PALE, linewidth=0, zorder=0)
            )
        axes.text(first + count / 2, -0.8, category, ha="center", size=6.5, color=GREY)
