import io

from rich.console import Console

from monitor.client import Event
from scripts.liveview import LiveView


def shown(*events: Event) -> str:
    picture = io.StringIO()
    console = Console(file=picture, width=100, force_terminal=False)
    view = LiveView(console)
    for event in events:
        view.show(event)
    console.print(view.render())
    return picture.getvalue()


def event(kind: str, phase: str, **fields: object) -> Event:
    timestamp = "2025-01-01T12:00:00Z"
    return Event(type=kind, timestamp=timestamp, phase=phase, **fields)  # type: ignore[arg-type]


def test_each_phase_has_one_line_with_its_newest_state_in_the_order_they_began() -> None:
    text = shown(
        event("phase_progress", "write", status="in_progress", progress=10),
        event("phase_progress", "lint", status="in_progress", progress=20),
        event("phase_progress", "write", status="in_progress", progress=45, message="page 3"),
    )
    assert "10 %" not in text
    assert [line.split()[0] for line in text.splitlines() if " %" in line] == ["write", "lint"]
    assert "45 %" in text
    assert "page 3" in text


def test_a_failure_shows_its_error() -> None:
    text = shown(event("phase_failed", "lint", status="failed", progress=3, error="a.md:1: bad"))
    assert "a.md:1: bad" in text


def test_markup_in_an_event_is_text_only() -> None:
    text = shown(event("phase_failed", "[red]x[/red]", status="failed", error="[bold]y[/]"))
    assert "[red]x[/red]" in text
    assert "[bold]y[/]" in text


def test_any_number_of_phases_fits_a_screen() -> None:
    text = shown(
        *(event("phase_start", f"p{n}", status="in_progress", progress=0) for n in range(200))
    )
    assert len(text.splitlines()) < 30
    assert "p199" in text
