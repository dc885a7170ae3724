"""The view of `wsproof tail` on a terminal: its connection, the phases, the latest other events.

What it shows is of the newest run. It says when it is not live, and since when; what an event says
is text only, neither markup nor a sequence the terminal would obey.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from monitor.client import Event

_RUNS = 8
_PHASES = 16
_LATEST = 8
_STYLES = {"completed": "green", "failed": "bold red", "in_progress": "cyan"}
_WORDS = {"completed": "✓ completed", "failed": "✗ failed", "in_progress": "… running"}
_BAR_COLUMNS = 24
#: Control characters of ASCII and of Latin-1, drawn as what they are instead of obeyed.
_PICTURES = {
    **{code: 0x2400 + code for code in range(0x20)},
    **dict.fromkeys(range(0x7F, 0xA0), 0xFFFD),
}


class LiveView:
    """Context manager: redraws itself a few times a second while it is entered.

    Args:
        console: where to draw.
        now: the local time of day.
    """

    def __init__(
        self, console: Console | None = None, now: Callable[[], datetime] = datetime.now
    ) -> None:
        self._now = now
        self._runs: OrderedDict[str | None, OrderedDict[str, Event]] = OrderedDict()
        self._latest: deque[Text] = deque(maxlen=_LATEST)
        self._events = 0
        self._missed = 0
        self._state = Text("Connecting", style="dim")
        self._expected = 0
        self._recovered = 0
        self._is_live = False
        self._ended = False
        self._live = Live(
            console=console or Console(),
            get_renderable=self.render,
            refresh_per_second=8,
        )

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The last picture stays on the screen: it must not go on calling itself live.
        self._is_live = False
        self._ended = True
        self._state = Text(f"Ended at {self._now():%H:%M:%S}", style="bold")
        self._live.__exit__(kind, error, trace)

    def show(self, event: Event) -> None:
        """Take an event into the picture."""
        self._events += not event.snapshot
        if event.phase is not None and event.status is not None:
            self._take(event.run, event.phase, event)
        if event.type not in {"phase_progress", "phase_update"}:
            what = event.error or event.path or event.message or ""
            self._latest.append(_line(event, what))
        if not event.snapshot:
            self._come(1)

    def tell(self, text: str) -> None:
        """Add words to the latest lines."""
        self._latest.append(_text(text, style="dim"))

    def connected(self, text: str, expected: int) -> None:
        """Say that the connection stands, and that `expected` events missed meanwhile follow."""
        self.tell(text)
        self._expected, self._recovered = expected, 0
        self._come(0)

    def lost(self, why: str, patience_s: float | None) -> None:
        """Say that the connection is lost, and for how long another is tried (None: for ever)."""
        self._is_live = False
        since = self._now()
        until = (
            "" if patience_s is None else f" until {since + timedelta(seconds=patience_s):%H:%M:%S}"
        )
        words = f"◇ Not live since {since:%H:%M:%S}, trying again{until}: {why}"
        # On more than one line if need be: the reason stands at its end.
        self._state = Text(words.translate(_PICTURES), style="bold yellow", overflow="fold")

    def missed(self, omitted: int, reason: str) -> None:
        """Say that events were left out, how many and why."""
        self._missed += omitted
        self.tell(f"{omitted} events were left out: {reason}")
        self._come(omitted)

    def render(self) -> RenderableType:
        """Return the picture as it stands."""
        newest = next(reversed(self._runs), None)
        phases = self._runs.get(newest, OrderedDict())
        head = _text((newest or "phases") if phases else "no phase yet", style="bold")
        if phases and not self._is_live:
            head.append(" · not live", style="yellow")
        table = Table(box=None, pad_edge=False, show_header=False, expand=True)
        table.add_column(no_wrap=True)
        table.add_column(width=_BAR_COLUMNS)
        table.add_column(justify="right", width=6)
        table.add_column(width=11)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for event in sorted(phases.values(), key=lambda event: event.status != "failed"):
            percent = event.progress or 0
            style = _STYLES.get(event.status or "", "")
            table.add_row(
                _text(event.phase or "", style=style),
                ProgressBar(total=100, completed=percent, width=_BAR_COLUMNS),
                Text(f"{int(percent)} %"),
                Text(_WORDS.get(event.status or "", event.status or ""), style=style),
                _text(event.error or event.message or ""),
            )
        missed = f" · {self._missed} missed" if self._missed else ""
        many = f"{self._events} event{'' if self._events == 1 else 's'}"
        way_out = "" if self._ended else " · Ctrl-C ends"
        count = Text(f"{many}{missed}{way_out}", style="dim")
        return Group(self._state, head, table, *tuple(self._latest), count)

    def _take(self, run: str | None, phase: str, event: Event) -> None:
        """Keep the latest event of a phase, in the order phases and runs began."""
        phases = self._runs.setdefault(run, OrderedDict())
        phases[phase] = event
        if len(phases) > _PHASES:
            phases.popitem(last=False)
        if len(self._runs) > _RUNS:
            self._runs.popitem(last=False)

    def _come(self, count: int) -> None:
        """Note that so many of the events that follow a recovery have come."""
        self._recovered += count
        self._is_live = self._recovered >= self._expected
        if self._is_live:
            self._state = Text("● Live", style="bold green")
        else:
            words = f"Recovering {self._recovered} of {self._expected} events"
            self._state = Text(words, style="bold cyan")


def _text(words: str, style: str = "") -> Text:
    return Text(words.translate(_PICTURES), style=style, no_wrap=True, overflow="ellipsis")


def _line(event: Event, what: str) -> Text:
    line = _text(_clock(event.timestamp) + " ", style="dim")
    line.append(event.type, style=_STYLES.get(event.status or "", ""))
    line.append(f" {event.phase or ''} {what}".translate(_PICTURES))
    return line


def _clock(timestamp: str) -> str:
    """Return an event's time by the clock of the person who watches; as it stands if unreadable."""
    try:
        return f"{datetime.fromisoformat(timestamp).astimezone():%H:%M:%S}"
    except (ValueError, OverflowError):
        return timestamp[11:19]
