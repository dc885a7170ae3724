"""`wsproof tail`: follow a monitor's events, and record them as a trace."""

from pathlib import Path
from typing import Annotated

import typer

from monitor.contract.verdicts import UsageError
from scripts.cli.app import DEFAULT_STATE, StateOption, app
from scripts.cli.publish import MONITOR, MonitorOption, TokenOption


@app.command()
def tail(
    since: Annotated[
        int | None, typer.Option(metavar="OFFSET", help="Begin after this offset.", min=0)
    ] = None,
    phase: Annotated[list[str] | None, typer.Option(help="Only this phase; repeatable.")] = None,
    run: Annotated[str | None, typer.Option(help="Only this run.")] = None,
    record: Annotated[
        Path | None, typer.Option(help="Write a trace here when stopped.", dir_okay=False)
    ] = None,
    source: Annotated[
        str, typer.Option(help="What the trace is of; stands in its first line.")
    ] = "a monitor's live events",
    wait: Annotated[
        float, typer.Option(help="Seconds to try to get a lost connection back.", min=0)
    ] = 30.0,
    monitor: MonitorOption = MONITOR,
    token: TokenOption = None,
    state: StateOption = DEFAULT_STATE,
) -> None:
    """Follow events: a live view on a terminal, JSON Lines when piped. Ctrl-C ends it."""
    from monitor.client import Patience, Selection
    from scripts.credentials import endpoint_for
    from scripts.following import Following, follow

    if record is not None and not record.parent.is_dir():
        raise UsageError(f"--record {record}: no such folder {record.parent}; create it")
    endpoint = endpoint_for(monitor, token, "subscribe", state)
    follow(
        Following(
            endpoint=endpoint,
            selection=Selection(phases=tuple(phase or ()), run=run),
            since=since,
            patience=Patience(first_s=0.0, again_s=wait),
            record=record,
            source=source,
        )
    )
