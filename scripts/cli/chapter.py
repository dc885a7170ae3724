"""`wsproof report chapter`: refresh a document's marked regions, or check that they are true."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.contract.verdicts import ExitCode, UsageError
from scripts.cli.app import DEFAULT_RUNS, RunsOption
from scripts.cli.report import ClaimsOption, chosen_claims, evidence_folders, report

if TYPE_CHECKING:
    from reports.chapter import Composed


@report.command()
def chapter(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Any Markdown file.")],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 4 if it is stale or hand-edited.")
    ] = False,
    current: Annotated[
        bool, typer.Option("--current", help="With --check: the measured code must be today's.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing; show what would change.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace regions that were edited by hand, too.")
    ] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Put markers into a chapter written by hand.")
    ] = False,
    runs: RunsOption = DEFAULT_RUNS,
    claims: ClaimsOption = None,
) -> int:
    """Make a document's tables, figures and check lists anew from the newest evidence."""
    from reports.chapter import compose, write
    from reports.runs import Evidence

    _check_flags(check=check, current=current, others=dry_run or force or adopt)
    evidence = Evidence(evidence_folders(runs))
    if adopt:
        from scripts.adopting import adopt_chapter

        where = claims or file.parent / "claims.toml"
        otherwise = chosen_claims(None)[1:]
        adopted = adopt_chapter(file, evidence, where, otherwise, dry_run=dry_run, force=force)
        return _told(adopted, ExitCode.HOLDS)
    _, chosen, target = chosen_claims(_claims_beside(file, claims))
    composed = compose(file, chosen, target, evidence, same_runs=check, force=force)
    if check:
        return _told(composed, _check(composed, current=current), check=True)
    if dry_run:
        print(composed.diff(), end="")
        for line in composed.stale:
            print(f"would be drawn: {line}", file=sys.stderr)
    else:
        write(composed)
        print(_done(composed), file=sys.stderr)
    return _told(composed, ExitCode.HOLDS)


def _check_flags(*, check: bool, current: bool, others: bool) -> None:
    if check and others:
        raise UsageError("--check writes nothing: leave out --dry-run, --force and --adopt")
    if current and not check:
        raise UsageError("--current needs --check")


def _claims_beside(file: Path, claims: Path | None) -> Path | None:
    """Return the claims given, those beside the document, or None for the monitor's."""
    beside = file.parent / "claims.toml"
    return claims or (beside if beside.is_file() else None)


def _check(composed: "Composed", *, current: bool) -> ExitCode:
    code = ExitCode.HOLDS
    if not composed.current:
        print(composed.diff(), end="")
        for line in composed.stale:
            print(line, file=sys.stderr)
        print(
            f"{composed.path}: not what its evidence says; refresh it with"
            f" `wsproof report chapter {composed.path} --force`",
            file=sys.stderr,
        )
        code = ExitCode.STALE
    if current and _changed(composed):
        code = ExitCode.STALE
    return code


def _changed(composed: "Composed") -> bool:
    """Say which runs measured another monitor than that of this checkout."""
    import monitor
    from monitor.contract.provenance import digest_tree
    from reports.chapter import changed_code

    old = list(changed_code(composed.records, digest_tree(Path(monitor.__file__).parent)))
    for run in old:
        print(
            f"{composed.path}: run {run} measured other code than today's; measure again with"
            " `make chapter`",
            file=sys.stderr,
        )
    return bool(old)


def _told(composed: "Composed", code: ExitCode, *, check: bool = False) -> ExitCode:
    """Say what is FALSE or without evidence, and return the command's code."""
    for region in composed.without:
        why = f"no evidence for the region {region.name}; it was left as it is"
        if check and not region.runs:
            why = (
                f"the region {region.name} was never filled, so nothing tells whether it is true;"
                f" fill it with `wsproof report chapter {composed.path}`"
            )
        print(f"{composed.path}: line {region.line}: {why}", file=sys.stderr)
    for one in composed.broken:
        judgement = one.judgement
        print(
            f"{composed.path}: FALSE: {judgement.claim.sentence} ({judgement.reason})",
            file=sys.stderr,
        )
    if composed.broken:
        return ExitCode.BROKEN
    if code is ExitCode.HOLDS and composed.without:
        return ExitCode.NO_VERDICT
    return code


def _done(composed: "Composed") -> str:
    runs = ", ".join(sorted(record.id for record in composed.records)) or "no run"
    changed = "refreshed" if composed.before != composed.after else "already current"
    return f"{composed.path}: {changed}, from {runs}"
