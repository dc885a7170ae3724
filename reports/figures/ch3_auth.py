"""How does a client authenticate, in each of the three ways, and what does a wrong token meet?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from monitor.contract.findings import TranscriptLine
from reports.dossier import Dossier
from reports.exhibits import Plot, Section, figure
from reports.style import BLACK, BLUE, GREEN, GREY, PALE, VERMILLION
from reports.transcripts import conversations

#: The check a recorded authentication stands under.
_CHECK = "authentication"
_ROW_IN = 0.29
_HEADING = 1.0  # rows a conversation's heading takes
_WORDS = 34  # of a message that fit between the lifelines


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One recorded conversation: the way, whether the token was good, and its lines."""

    way: str
    case: str
    lines: tuple[TranscriptLine, ...]

    @property
    def admitted(self) -> bool:
        return self.case == "accepted"


@figure(Section.AUTHENTICATION, source="protocol")
def ch3_auth(dossier: Dossier) -> Plot | None:
    """Draw the recorded messages between client and service, one column a way."""
    found = tuple(_exchanges(dossier))
    ways = tuple(dict.fromkeys(one.way for one in found))
    if not ways:
        return None
    return Plot(
        title=_title(found, ways),
        alt=_alt(found),
        columns=("way", "case", "at_ms", "direction", "message"),
        rows=[
            (one.way, one.case, f"{line.at_s * 1e3:.2f}", line.direction, line.summary)
            for one in found
            for line in one.lines
        ],
        draw=lambda canvas: _draw(canvas, found, ways),
        height_in=1.0 + _ROW_IN * _tallest(found, ways),
    )


def _exchanges(dossier: Dossier) -> Iterator[_Exchange]:
    for name, lines in conversations(dossier.run, _CHECK).items():
        way, _, case = name.partition(": ")
        shown = tuple(line for line in lines if line.direction != "note")
        if shown:
            yield _Exchange(way, case, shown)


def _title(found: Sequence[_Exchange], ways: Sequence[str]) -> str:
    let_in = {one.way for one in found if one.admitted and _welcomed(one)}
    kept_out = {one.way for one in found if not one.admitted and not _welcomed(one)}
    number = {2: "both", 3: "all three"}.get(len(ways), f"all {len(ways)}")
    if let_in == kept_out == set(ways):
        return f"A good token is let in and a bad one kept out, in {number} ways"
    return (
        f"A good token is let in in {len(let_in)} of {len(ways)} ways,"
        f" a bad one kept out in {len(kept_out)}"
    )


def _welcomed(one: _Exchange) -> bool:
    return any(line.direction == "received" and "auth_ok" in line.summary for line in one.lines)


def _alt(found: Sequence[_Exchange]) -> str:
    told = []
    for one in found:
        received = [line for line in one.lines if line.direction == "received"]
        if received:
            last = received[-1]
            told.append(f"{one.way}, {one.case}: {last.summary} after {_after(last.at_s)}")
    return f"Sequence diagrams between client and service. {'; '.join(told)}."


def _tallest(found: Sequence[_Exchange], ways: Sequence[str]) -> float:
    return max(sum(len(one.lines) + _HEADING for one in found if one.way == way) for way in ways)


def _draw(canvas: Figure, found: Sequence[_Exchange], ways: Sequence[str]) -> None:
    panels = canvas.subplots(1, len(ways), squeeze=False)[0]
    rows = _tallest(found, ways)
    for axes, way in zip(panels, ways, strict=True):
        _column(axes, way, [one for one in found if one.way == way], rows)


def _column(axes: Axes, way: str, exchanges: Sequence[_Exchange], rows: float) -> None:
    axes.set_xlim(-0.08, 1.08)
    axes.set_ylim(rows + 0.3, -1.35)
    axes.axis("off")
    axes.text(0.5, -1.0, way, ha="center", weight="bold", size=8.5)
    for x, who, side in ((0.0, "client", "left"), (1.0, "service", "right")):
        axes.text(x + (-0.06 if x == 0 else 0.06), -0.25, who, ha=side, size=7.5, color=GREY)
    y = 0.2
    for one in exchanges:
        y = _exchange(axes, one, y)
    for x in (0.0, 1.0):
        axes.plot([x, x], [0, y - 0.25], color=GREY, linewidth=1.0, zorder=1)


def _exchange(axes: Axes, one: _Exchange, y: float) -> float:
    """Draw one conversation from height `y` down; return where the next begins."""
    colour = GREEN if one.admitted else VERMILLION
    sign = "✓" if one.admitted else "✗"
    axes.axhspan(y, y + 0.62, color=PALE, linewidth=0, zorder=0)
    axes.text(0.5, y + 0.31, f"{sign} {one.case}", ha="center", va="center", size=7.5, color=colour)
    y += _HEADING + 0.2
    for line in one.lines:
        sent = line.direction == "sent"
        start, end = (0.0, 1.0) if sent else (1.0, 0.0)
        last = line is one.lines[-1]
        axes.annotate(
            "",
            xy=(end, y),
            xytext=(start, y),
            arrowprops={
                "arrowstyle": "-|>",
                "color": BLUE if sent else (colour if last else BLACK),
                "linewidth": 1.1,
                "linestyle": "-" if sent else (0, (4, 1.5)),
                "shrinkA": 0,
                "shrinkB": 0,
            },
        )
        axes.text(0.5, y - 0.1, _short(line.summary), ha="center", va="bottom", size=6.2)
        axes.text(0.5, y + 0.08, _after(line.at_s), ha="center", va="top", size=5.4, color=GREY)
        y += 1.0
    return y - 0.2


def _short(message: str) -> str:
    return message if len(message) <= _WORDS else message[: _WORDS - 1] + "…"


def _after(at_s: float) -> str:
    return f"{at_s:.1f} s" if at_s >= 1 else f"{at_s * 1e3:.1f} ms"
