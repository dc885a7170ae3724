"""The typer application every command module registers on, and its shared options."""

import importlib
import pkgutil
from pathlib import Path
from typing import Annotated

import typer

import monitor
import scripts.cli

app = typer.Typer(
    name="wsproof",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def wsproof() -> None:
    """Proves what a real-time WebSocket service claims about itself."""


StateOption = Annotated[
    Path,
    typer.Option(
        "--state", envvar="WSPROOF_STATE", help="The monitor's state folder (keys, journal)."
    ),
]
RunsOption = Annotated[
    Path, typer.Option("--runs", envvar="WSPROOF_RUNS", help="Where run folders are kept.")
]

DEFAULT_STATE = Path("state")
DEFAULT_RUNS = Path("runs")
REFERENCE_TARGET = Path(monitor.__file__).parent / "target.toml"


def load_commands() -> None:
    """Import every command module beside this one, in name order."""
    for module in pkgutil.iter_modules(scripts.cli.__path__):
        if module.name != "app":
            importlib.import_module(f"scripts.cli.{module.name}")
