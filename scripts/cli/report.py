"""`wsproof report`: make the report of a run, and judge claims from the newest evidence."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scripts.cli.app import DEFAULT_RUNS, REFERENCE_TARGET, RunsOption, app

if TYPE_CHECKING:
    from monitor.contract.claims import Claim
    from reports.standing import Standing

report = typer.Typer(help="Turn evidence into tables, figures and verdicts.", no_args_is_help=True)
app.add_typer(report, name="report")

RunArgument = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="A run's id or folder; the newest by default.")
]
ClaimsOption = Annotated[
    Path | None, typer.Option("--claims", help="The claims to judge; the monitor's by default.")
]


@report.command()
def build(
    run: RunArgument = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Report folder; RUN.report by default.")
    ] = None,
    runs: RunsOption = DEFAULT_RUNS,
    claims: ClaimsOption = None,
) -> int:
    """Write the report of one run: tables, figures, page. Prints the claims table."""
    from monitor.contract.evidence import load_run
    from reports.build import build as build_report
    from reports.build import exit_code
    from reports.runs import find_run

    path = find_run(run, runs)
    record = load_run(path).record
    chosen, target = _claims(claims)
    if target not in {None, record.target}:
        print(
            f"run {record.id} measured {record.target}, of which the claims of {target} say"
            " nothing; pass its own with --claims FILE",
            file=sys.stderr,
        )
        chosen = ()
    made = build_report(path, chosen, out or path.with_name(f"{path.name}.report"))
    print(made.table)
    print(f"\nrun {record.id} is {record.verdict}; report: {made.markdown}", file=sys.stderr)
    return exit_code(record, made.judgements)


@report.command("claims")
def judge_claims(
    run: RunArgument = None,
    runs: RunsOption = DEFAULT_RUNS,
    claims: ClaimsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on stdout.")] = False,
) -> int:
    """Judge each claim anew: from one run, or from the newest of the claim's scenario."""
    from monitor.contract.evidence import load_run
    from reports.render_markdown import render_table
    from reports.runs import find_run, newest_first
    from reports.standing import conclusion, standings, standings_table

    evidence = newest_first(runs) if run is None else [load_run(find_run(run, runs))]
    found = standings(*_claims(claims), evidence)
    print(_json(found) if as_json else render_table(standings_table(found)))
    return conclusion(one.judgement for one in found)


def _claims(path: Path | None) -> "tuple[tuple[Claim, ...], str | None]":
    """Return the claims to judge and the target they are about; None if they do not say."""
    from monitor.contract.claims import load_claims
    from monitor.contract.target import load_target

    if path is not None:
        return load_claims(path), None
    target = load_target(REFERENCE_TARGET)
    assert target.claims_path is not None  # noqa: S101 - the reference profile names its claims
    return load_claims(target.claims_path), target.name


def _json(found: "tuple[Standing, ...]") -> str:
    import msgspec

    rows = [
        {
            "claim": one.judgement.claim.id,
            "verdict": one.judgement.verdict,
            "reason": one.judgement.reason,
            "measured": one.judgement.measured,
            "margin": one.judgement.margin,
            "run": one.run.id if one.run else None,
        }
        for one in found
    ]
    return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode()
