"""`wsproof doctor`: what this machine lacks for which command, and the command that mends it."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.contract.verdicts import ExitCode, UsageError
from scripts.cli.app import app

if TYPE_CHECKING:
    from scripts.examination import Finding


@app.command()
def doctor(
    command: Annotated[
        str | None,
        typer.Option(
            "--for", metavar="COMMAND", help="Only what this needs: load, audit, serve or test."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Say what this machine lacks, and what mends it. Changes nothing.

    Exit code 0: nothing is missing, whatever could be better; 1: something is.
    """
    from scripts.examination import PROGRAMS, State, examine
    from scripts.host import read_host

    findings = examine(read_host(one.name for one in PROGRAMS))
    known = sorted({word for one in findings for word in one.command.split(", ")})
    if command is not None:
        if command not in known:
            raise UsageError(f"doctor --for {command}: unknown; there are: {', '.join(known)}")
        findings = [one for one in findings if command in one.command.split(", ")]
    missing = [one for one in findings if one.state is State.MISSING]
    code = ExitCode.BROKEN if missing else ExitCode.HOLDS
    if as_json:
        print(json.dumps({"findings": [asdict(one) for one in findings], "exit_code": int(code)}))
        return code
    for one in findings:
        print(_line(one))
    advised = sum(one.state is State.ADVICE for one in findings)
    print(f"\n{len(missing)} missing, {advised} to be better")
    return code


def _line(one: "Finding") -> str:
    said = f"{one.state:8} {one.command:12} {one.name}: {one.found}"
    if one.mend:
        said += f"\n{'':9}wanted: {one.wanted}\n{'':9}mend:   {one.mend}"
    return said
