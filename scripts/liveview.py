"""The view of `wsproof tail` on a terminal: one line a phase, and the latest other events."""

from collections import OrderedDict, deque
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from monitor.client import Event

_PHASES = 16
_LATEST = 8
_STYLES = {"completed": "green", "failed": "bold red", "in_progress": "cyan"}


class LiveView:
    """Context manager: redraws itself a few times a second while it is entered.

    Text of events is shown as text only: nothing in it is taken as markup.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._phases: OrderedDict[tuple[str | None, str], Event] = OrderedDict()
        self._latest: deque[Text] = deque(maxlen=_LATEST)
        self._events = 0
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
        self._live.__exit__(kind, error, trace)

    def show(self, event: Event) -> None:
        """Take an event into the picture."""
        self._events += 1
        if event.phase is not None and event.status is not None:
            key = (event.run, event.phase)
            self._phases[key] = event
            self._phases.move_to_end(key)
            if len(self._phases) > _PHASES:
                self._phases.popitem(last=False)
        if event.type not in {"phase_progress", "phase_update"}:
            what = event.error or event.path or event.message or ""
            self._latest.append(_line(event, what))

    def tell(self, text: str) -> None:
        """Add words to the latest lines."""
        self._latest.append(Text(text, style="dim"))

    def render(self) -> RenderableType:
        """Return the picture as it stands."""
        table = Table(box=None, pad_edge=False, show_header=False, expand=True)
        table.add_column(no_wrap=True)
        table.add_column(width=24)
        table.add_column(justify="right", width=6)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for event in tuple(self._phases.values()):
            percent = event.progress or 0
            table.add_row(
                Text(event.phase or "", style=_STYLES.get(event.status or "", "")),
                ProgressBar(total=100, completed=percent, width=24),
                Text(f"{percent:.0f} %"),
                Text(event.error or event.message or event.status or ""),
            )
        count = Text(f"{self._events} events · Ctrl-C ends", style="dim")
        return Group(table, *tuple(self._latest), count)


def _line(event: Event, what: str) -> Text:
    line = Text(event.timestamp[11:19] + " ", style="dim", no_wrap=True, overflow="ellipsis")
    line.append(event.type, style=_STYLES.get(event.status or "", ""))
    line.append(f" {event.phase or ''} {what}")
    return line
