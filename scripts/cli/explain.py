"""`wsproof explain`: why a check or a scenario matters, how it is judged, how to repeat it."""

import difflib
import inspect
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.contract.verdicts import ExitCode, UsageError
from scripts.cli.app import REFERENCE_TARGET, app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.scenarios import Asked, Scenario
    from monitor.contract.claims import Claim


#: What repeats are for, where a scenario has no reason to make do with one.
_REPEATED = (
    "a figure is the median of repeats, its interval a bootstrap over them (95 %, from five on)"
)


@app.command()
def explain(
    name: Annotated[str, typer.Argument(metavar="CHECK|SCENARIO|CLAIM", help="What to explain.")],
) -> int:
    """Say what a check, a scenario or a claim is about."""
    text = _check(name) or _scenario(name) or _claim(name)
    if text is None:
        raise UsageError(f"explain {name!r}: no check, scenario or claim; {_closest(name)}")
    print(text)
    return ExitCode.HOLDS


def _closest(name: str) -> str:
    """Say which may be meant, or where they are listed."""
    from loadtests.scenarios import discover as discover_scenarios
    from securitytests.check import discover as discover_checks

    claims = [claim.id for claim in _claims()]
    names = [*(check.id for check in discover_checks()), *discover_scenarios(), *claims]
    known = {one.upper(): one for one in reversed(names)}
    begun = [one for one in names if name and one.upper().startswith(name.upper())]
    close = difflib.get_close_matches(name.upper(), known, n=1)
    if begun or close:
        return f"did you mean {begun[0] if begun else known[close[0]]}?"
    return "`wsproof audit --list`, `wsproof load --list` and `wsproof report claims` show them"


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
    from loadtests.objectives import objectives_of
    from loadtests.plan import asked_of, extent_of
    from loadtests.scenarios import discover
    from monitor.contract.target import load_target

    found = discover().get(name)
    if found is None:
        return None
    claims = [one.id for one in _claims() if one.scenario == name]
    asked = asked_of(found, load_target(REFERENCE_TARGET))
    objectives = objectives_of(found, asked)
    extent = extent_of(found, asked)
    judged = ["its claims"] if claims else []
    judged += [one.id.removeprefix("objective: ") for one in objectives]
    return "\n".join(
        [
            f"{name}: {inspect.getdoc(found)}",
            "",
            (
                f"offers: {found.clients:,} clients, {found.rate:,.0f} events/s at most;"
                f" {extent.offered}, each after {found.warmup_s:g} s of warm-up; {extent.takes}"
            ),
            f"repeats: {found.repeats}: {found.once or _REPEATED}",
            f"needs:  {', '.join(found.needs) or 'a profile that says how to publish'}",
            f"claims: {', '.join(claims) or 'none of the reference monitor rests on it'}",
            f"judged: {'; '.join([*judged, 'what flags or the profile add'])}",
            *_figures(found, asked),
            f"repeat: wsproof load {name}",
        ]
    )


def _figures(scenario: "type[Scenario]", asked: "Asked") -> "Iterator[str]":
    """Name what objectives can speak of."""
    from loadtests.vocabulary import figures_of, of_each_point, points_of

    points, own = points_of(scenario, asked), scenario.measures
    each = of_each_point(scenario) if points else ()
    of_points = {f"{point}_{name}" for point in points for name in each}
    shared = figures_of(scenario, asked).keys() - of_points - set(own)
    yield f"figures: {', '.join((*own, *sorted(shared)))}"
    if points:
        yield (
            f"points: {', '.join(points)}; each after the point's name ({points[-1]}_{each[0]}):"
            f" {', '.join(sorted(each))}"
        )


def _claim(name: str) -> str | None:
    found = next((one for one in _claims() if one.id == name), None)
    if found is None:
        return None
    return "\n".join(
        [
            f"{found.id}: {found.sentence}",
            "",
            *(_decided_by_load(found) if found.metric else _decided_otherwise(found)),
            "judge:    wsproof report claims",
        ]
    )


def _decided_by_load(claim: "Claim") -> list[str]:
    from loadtests.scenarios import discover

    kind = "wsproof load" if claim.scenario in discover() else "make"
    lines = [
        f"true if:  {claim.metric} {claim.comparison} {claim.bound:,.12g} {claim.unit}",
        f"requires: {'; '.join(claim.requires) or 'nothing else'}",
        f"given:    {'; '.join(claim.given) or 'any load'}",
    ]
    if claim.tolerance:
        lines[0] += f", give or take {claim.tolerance:,.12g} {claim.unit}"
    return [*lines, f"measure:  {kind} {claim.scenario}"]


def _decided_otherwise(claim: "Claim") -> list[str]:
    from securitytests.check import discover

    if claim.unmeasured:
        return [f"unproven: {claim.unmeasured}"]
    carrying = [check.id for check in discover() if check.claim == claim.id]
    return [
        f"true if:  these checks pass: {', '.join(carrying or claim.checks)}",
        "measure:  wsproof audit",
    ]


def _claims() -> "tuple[Claim, ...]":
    """The claims of the reference monitor."""
    from monitor.contract.claims import load_claims
    from monitor.contract.target import load_target

    path = load_target(REFERENCE_TARGET).claims_path
    return load_claims(path) if path else ()
