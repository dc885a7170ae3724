"""`wsproof serve`, for the list of commands; `scripts.wsproof` hands it to the monitor itself."""

import typer

from scripts.cli.app import app


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    add_help_option=False,
)
def serve(context: typer.Context) -> int:
    """Run the monitor: a WebSocket server that broadcasts pipeline events."""
    from monitor.__main__ import serve as run

    return run(context.args)
