"""`wsproof report`: make the report of a run, and judge claims from the newest evidence."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.contract.verdicts import ExitCode
from scripts.cli.app import DEFAULT_RUNS, REFERENCE_TARGET, RunsOption, app

if TYPE_CHECKING:
    from monitor.contract.claims import Claim
    from reports.runs import Evidence
    from reports.standing import Standing

report = typer.Typer(help="Turn evidence into tables, figures and verdicts.", no_args_is_help=True)
app.add_typer(report, name="report")

RunArgument = Annotated[
    str | None, typer.Argument(metavar="[RUN]", help="A run's id or folder; the newest by default.")
]
ClaimsOption = Annotated[
    Path | None, typer.Option("--claims", help="The claims to judge; the monitor's by default.")
]


def evidence_folders(runs: Path) -> tuple[Path, ...]:
    """Return where evidence is looked for: the kept runs beside those of the default folder."""
    return (runs, kept_folder()) if runs == DEFAULT_RUNS else (runs,)


def kept_folder() -> Path:
    """Return the folder of the runs that the repository keeps."""
    import reports

    return Path(reports.__file__).parent / "data"


def chosen_claims(path: Path | None) -> "tuple[Path, tuple[Claim, ...], str | None]":
    """Return the claims file, its claims, and the target they are about; None if not said.

    The checks that carry a claim are spelled out as the gate has them today.
    """
    from monitor.contract.claims import load_claims
    from monitor.contract.target import load_target
    from scripts.carrying import spelled_out

    if path is not None:
        return path, spelled_out(load_claims(path)), None
    target = load_target(REFERENCE_TARGET)
    assert target.claims_path is not None  # noqa: S101 - the reference profile names its claims
    return target.claims_path, spelled_out(load_claims(target.claims_path)), target.name


@report.command()
def build(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="A run's id or folder; else all the newest evidence."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Report folder; RUN.report or `report` in the runs by default."),
    ] = None,
    runs: RunsOption = DEFAULT_RUNS,
    claims: ClaimsOption = None,
) -> int:
    """Write a report: tables, figures, page. Prints the claims table.

    Of one run, or of the newest load, flood, audit, seeded flaws and protocol together.
    """
    from reports.account import of_evidence
    from reports.build import concluded, publish

    if run is not None:
        return _build_one(run, out, runs, claims)
    _, chosen, target = chosen_claims(claims)
    account = of_evidence(chosen, target, _evidence(None, runs), _this_host())
    made = publish(account, out or runs / "report")
    print(made.table)
    print(f"\nfrom {len(account.records)} runs; report: {made.page}", file=sys.stderr)
    return concluded(account)


def _build_one(run: str, out: Path | None, runs: Path, claims: Path | None) -> int:
    from monitor.contract.evidence import load_run
    from reports.build import build as build_report
    from reports.build import exit_code

    path = _found(run, runs)
    record = load_run(path).record
    _, chosen, target = chosen_claims(claims)
    if target not in {None, record.target}:
        print(
            f"run {record.id} measured {record.target}, of which the claims of {target} say"
            " nothing; pass its own with --claims FILE",
            file=sys.stderr,
        )
        chosen = ()
    beside = runs if path.parent == kept_folder() else path.parent  # kept runs stay as they are
    made = build_report(path, chosen, out or beside / f"{path.name}.report")
    print(made.table)
    print(f"\nrun {record.id} is {record.verdict}; report: {made.page}", file=sys.stderr)
    return exit_code(record, made.judgements)


@report.command("claims")
def judge_claims(
    run: RunArgument = None,
    runs: RunsOption = DEFAULT_RUNS,
    claims: ClaimsOption = None,
    document: Annotated[
        Path | None,
        typer.Option(help="Where the claims' sentences must stand; else what the claims name."),
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="Also write JUnit XML here.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Also write a Markdown summary here (`-`: stdout).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on stdout.")] = False,
) -> int:
    """Judge each claim anew: from one run, or from the newest that is evidence for it."""
    from monitor.contract.claims import conclusion
    from reports.files import write_atomically
    from reports.render_claims import claims_json, claims_junit, claims_summary
    from reports.render_markdown import render_table
    from reports.standing import standings, standings_table

    file, chosen, target = chosen_claims(claims)
    found = standings(chosen, target, _evidence(run, runs))
    host = _this_host()
    missing = () if run and document is None else _missing_sentences(file, found, document)
    if junit is not None:
        write_atomically(junit, claims_junit(found).encode())
    if markdown is not None and str(markdown) != "-":
        write_atomically(markdown, claims_summary(found, host).encode())
    if str(markdown) == "-":
        print(claims_summary(found, host), end="")
    else:
        print(claims_json(found) if as_json else render_table(standings_table(found, host)))
    for problem in missing:
        print(problem, file=sys.stderr)
    code = conclusion(one.judgement for one in found)
    return ExitCode.STALE if missing and code is not ExitCode.BROKEN else code


@report.command()
def compare(
    first: Annotated[str, typer.Argument(help="A run's id or folder.")],
    second: Annotated[str, typer.Argument(help="The run to hold against it.")],
    runs: RunsOption = DEFAULT_RUNS,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for a figure of both, too.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array on stdout.")] = False,
) -> int:
    """Name what changed between two runs, as far as it exceeds the noise. Exit 1 if worse."""
    from monitor.contract.evidence import load_run
    from reports.compare import compare as compare_runs
    from reports.compare import conclude, differences_json, differences_table
    from reports.compare_figure import draw_comparison
    from reports.render_markdown import render_table

    before, after = (load_run(_found(name, runs)) for name in (first, second))
    found = compare_runs(before.record, after.record)
    figure = None if out is None else draw_comparison(before, after, out)
    print(differences_json(found) if as_json else render_table(differences_table(found)))
    if figure is not None:
        print(f"figure: {figure}", file=sys.stderr)
    return conclude(found)


@report.command("keep")
def keep_run(
    run: RunArgument = None,
    runs: RunsOption = DEFAULT_RUNS,
    kept: Annotated[
        Path | None, typer.Option("--kept", help="Where; reports/data by default.")
    ] = None,
) -> None:
    """Put a run under reports/data, where the repository keeps it."""
    from reports.keep import keep
    from reports.runs import find_run

    print(keep(find_run(run, runs), kept or kept_folder()))


def _found(name: str, runs: Path) -> Path:
    """Return a run by name, from the runs or the kept ones."""
    from reports.runs import find_run

    kept = kept_folder() / name
    return kept if kept.is_dir() else find_run(name, runs)


def _evidence(run: str | None, runs: Path) -> "Evidence":
    from monitor.contract.evidence import load_run
    from monitor.contract.verdicts import NoVerdictError
    from reports.runs import Evidence, find_run

    if run is not None:
        path = find_run(run, runs)
        load_run(path)
        return Evidence((path.parent,), {path.name})
    evidence = Evidence(evidence_folders(runs))
    if not evidence:
        raise NoVerdictError(
            f"runs folder {runs}: no runs yet; measure first, for example with"
            " `wsproof load chapter`, or pass --runs DIR"
        )
    return evidence


def _missing_sentences(
    file: Path, found: "tuple[Standing, ...]", document: Path | None
) -> tuple[str, ...]:
    """Return what does not stand in the document, or that there is no such document.

    The monitor's own claims are installed without theirs: then it is only said that it was not
    looked into.
    """
    from monitor.contract.claims import load_claims_document
    from reports.chapter import read_document
    from reports.sentences import misplaced

    if document is None:
        named = load_claims_document(file).document
        if named is None:
            return ()
        document = (file.parent / named).resolve()
        if not document.is_file():
            gone = f"{document}: not here, so no claim's sentence stands in it"
            if file != chosen_claims(None)[0]:
                return (gone,)
            print(f"{gone}; pass --document FILE", file=sys.stderr)
            return ()
    claims = [one.judgement.claim for one in found]
    return tuple(f"{document}: {problem}" for problem in misplaced(claims, read_document(document)))


def _this_host() -> str:
    from monitor.contract.provenance import hashed_host

    return hashed_host()
