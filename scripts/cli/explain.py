"""`wsproof explain`: why a check or a scenario matters, how it is judged, how to repeat it."""

import inspect
from typing import Annotated

import typer

from monitor.contract.verdicts import ExitCode, UsageError
from scripts.cli.app import REFERENCE_TARGET, app


@app.command()
def explain(
    name: Annotated[str, typer.Argument(metavar="CHECK|SCENARIO|CLAIM", help="What to explain.")],
) -> int:
    """Say what a check, a scenario or a claim is about."""
    text = _check(name) or _scenario(name) or _claim(name)
    if text is None:
        raise UsageError(
            f"explain {name!r}: no check, scenario or claim; `wsproof audit --list`, `wsproof load"
            " --list` and `wsproof report claims` show them"
        )
    print(text)
    return ExitCode.HOLDS


def _check(name: str) -> str | None:
    from securitytests.check import discover
    from securitytests.mutants.registry import discover as discover_mutants
    from securitytests.outputs.catalogue import explain as explain_check
    from securitytests.outputs.catalogue import flaws_by_check

    found = next((check for check in discover() if check.id == name.upper()), None)
    if found is None:
        return None
    flaws = flaws_by_check(discover_mutants().values())
    return explain_check(found, flaws.get(found.id, ()))


def _scenario(name: str) -> str | None:
    from loadtests.scenarios import discover

    found = discover().get(name)
    if found is None:
        return None
    return f"{name}: {inspect.getdoc(found)}\n\nrepeat: wsproof load {name}"


def _claim(name: str) -> str | None:
    from monitor.contract.claims import load_claims
    from monitor.contract.target import load_target
    from securitytests.check import discover

    path = load_target(REFERENCE_TARGET).claims_path
    found = next((one for one in load_claims(path) if one.id == name), None) if path else None
    if found is None:
        return None
    carrying = [check.id for check in discover() if check.claim == found.id]
    how = f"checks: {', '.join(carrying)}" if carrying else f"scenario: {found.scenario}"
    return f"{found.id}: {found.sentence}\n\n{how}\njudge:  wsproof report claims"
