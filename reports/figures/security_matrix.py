"""Which checks did the target pass?"""

import re
from collections import Counter

from matplotlib.axes import Axes

from monitor.contract.findings import Finding
from monitor.contract.verdicts import Verdict
from reports.checks import findings
from reports.dossier import Dossier
from reports.exhibits import Plot, Section, figure
from reports.sources import AUDIT
from reports.style import GREY
from reports.tiles import draw_tile, key

_ROW_IN = 0.3


@figure(Section.SECURITY, source=AUDIT)
def security_matrix(dossier: Dossier) -> Plot | None:
    """Draw one tile a check, a row a category, each with its verdict's sign."""
    found = findings(dossier.run)
    if not found:
        return None
    rows: dict[str, list[Finding]] = {}
    for one in found:
        rows.setdefault(re.sub(r"\d.*", "", one.id), []).append(one)
    count = Counter(one.verdict for one in found)
    return Plot(
        title=_title(count, len(found)),
        alt=_alt(count, found),
        columns=("check", "title", "claim", "severity", "verdict"),
        rows=[(one.id, one.title, one.claim or "", one.severity, one.verdict) for one in found],
        draw=lambda canvas: _draw(canvas.subplots(), rows),
        height_in=1.1 + _ROW_IN * len(rows),
    )


def _title(count: Counter[Verdict], total: int) -> str:
    applicable = total - count[Verdict.NOT_APPLICABLE]
    failed = f", {count[Verdict.FAIL]} fail" if count[Verdict.FAIL] else ""
    return f"{count[Verdict.PASS]} of {applicable} applicable checks pass{failed}"


def _alt(count: Counter[Verdict], found: tuple[Finding, ...]) -> str:
    counted = ", ".join(f"{number} {word}" for word, number in sorted(count.items()))
    failed = ", ".join(one.id for one in found if one.verdict is Verdict.FAIL)
    return f"Matrix of {len(found)} security checks by category: {counted}." + (
        f" Failing: {failed}." if failed else ""
    )


def _draw(axes: Axes, rows: dict[str, list[Finding]]) -> None:
    for y, (category, members) in enumerate(rows.items()):
        axes.text(-0.3, y + 0.5, category, ha="right", va="center", weight="bold", size=8)
        for x, one in enumerate(members):
            draw_tile(axes, (x, y), one.verdict, size=7, text=one.id.removeprefix(category))
    widest = max(len(members) for members in rows.values())
    axes.set_xlim(-1.2, max(widest, 10) + 0.2)
    axes.set_ylim(len(rows) + 1.0, -0.1)
    axes.axis("off")
    axes.text(0, len(rows) + 0.6, key(), size=6.8, color=GREY, va="center")
