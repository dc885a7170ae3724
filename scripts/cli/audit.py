"""`wsproof audit`: attack a target with every check, write the evidence, judge by exit code."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.contract.verdicts import ExitCode, UsageError
from scripts.cli.app import DEFAULT_RUNS, REFERENCE_TARGET, RunsOption, app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from securitytests.check import Check
    from securitytests.gate.plan import Permissions, Plan
    from securitytests.outputs.report import AuditReport


@app.command()
def audit(
    target: Annotated[
        Path, typer.Option("--target", help="Target profile (TOML).", show_default=False)
    ] = REFERENCE_TARGET,
    only: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Checks to run: HS*, or HS1,AU1.")
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="List the checks; connect to nothing.")
    ] = False,
    real_time: Annotated[
        bool, typer.Option("--real-time", help="Promised durations, not the shortened ones.")
    ] = False,
    mutants: Annotated[
        bool, typer.Option("--mutants", help="Try the checks on the seeded flaws instead.")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="With --mutants: every check on every flaw.")
    ] = False,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write JSON; - is stdout.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML.")
    ] = None,
    sarif: Annotated[
        Path | None, typer.Option("--sarif", metavar="FILE", help="Write SARIF 2.1.0.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one HTML page.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write Markdown.")
    ] = None,
    runs: RunsOption = DEFAULT_RUNS,
    allowed: Annotated[
        list[str] | None,
        typer.Option("--i-am-allowed-to-test", metavar="HOST", help="A host that is not loopback."),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(metavar="TIER", help="gentle or destructive; gentle beyond loopback."),
    ] = None,
    budget_connections: Annotated[
        int | None, typer.Option(min=1, help="Most connections, in all.")
    ] = None,
    budget_seconds: Annotated[float | None, typer.Option(min=1, help="Most seconds.")] = None,
) -> int:
    """Attack a target, the bundled monitor by default, and report what gave way."""
    from monitor.contract.target import load_target
    from securitytests.check import discover, select
    from securitytests.gate.plan import make_plan

    if listing:
        return _list(select(discover(), only), as_json, markdown)
    permissions = _permissions(allowed, tier, budget_connections, budget_seconds)
    plan = make_plan(
        load_target(target),
        only=None if mutants else only,
        real_time=real_time,
        permissions=permissions,
    )
    if mutants:
        return _try_mutants(plan, only, runs, full=full)
    report = _audit(plan, target, runs)
    _write_outputs(report, as_json=as_json, junit=junit, sarif=sarif, html=html, markdown=markdown)
    return report.exit_code


def _permissions(
    allowed: list[str] | None, tier: str | None, connections: int | None, seconds: float | None
) -> "Permissions":
    from securitytests.gate.plan import Permissions

    if tier not in {None, "gentle", "destructive"}:
        raise UsageError(f"--tier {tier!r}: expected gentle or destructive")
    return Permissions(tuple(allowed or ()), tier, connections, seconds)  # type: ignore[arg-type]


def _audit(plan: "Plan", profile: Path, runs: Path) -> "AuditReport":
    import asyncio
    from importlib.metadata import version

    from monitor.contract.evidence import load_run
    from monitor.contract.provenance import utc_now
    from scripts.audit_display import display
    from securitytests.gate.conclude import exit_code
    from securitytests.gate.record import AuditRecorder
    from securitytests.gate.run import Gate
    from securitytests.outputs.report import AuditReport

    started_at = utc_now()
    recorder = AuditRecorder(plan, runs, _command())
    given = "" if profile == REFERENCE_TARGET else f" --target {shlex.quote(str(profile))}"
    with display(len(plan.checks) + len(plan.left_out)) as tell:
        gate = Gate(plan, tell.finding, repeat=f"wsproof audit{given} --only {{id}}")
        outcome = asyncio.run(gate.run())
    folder = recorder.findings(outcome)
    print(f"Evidence: {load_run(folder).path}", file=sys.stderr)
    return AuditReport(
        findings=outcome.findings,
        transcripts=outcome.transcripts,
        target=plan.target.name,
        target_url=outcome.target_url,
        profile=_relative(profile),
        real_time=plan.real_time,
        started_at=started_at,
        seconds=round(outcome.seconds, 2),
        exit_code=exit_code(outcome.findings, plan.expected),
        version=version("wsproof"),
    )


def _try_mutants(plan: "Plan", only: str | None, runs: Path, *, full: bool) -> int:
    import asyncio
    from fnmatch import fnmatchcase

    from scripts.audit_display import display
    from securitytests.gate.mutation import mutation_exit_code, try_mutants
    from securitytests.gate.record import AuditRecorder
    from securitytests.mutants.registry import discover
    from securitytests.outputs import table

    patterns = [part.strip() for part in (only or "*").split(",")]
    chosen = [
        one
        for one in discover().values()
        if any(
            fnmatchcase(name, pattern)
            for pattern in patterns
            for name in (one.name, *one.caught_by)
        )
    ]
    recorder = AuditRecorder(plan, runs, _command())
    with display(len(chosen)) as tell:
        tried = asyncio.run(try_mutants(plan, chosen, tell.trial, full=full))
    print(f"Evidence: {recorder.trials(tried, full=full)}", file=sys.stderr)
    print(table.trials(tried))
    return mutation_exit_code(tried)


def _list(checks: "Sequence[Check]", as_json: Path | None, markdown: Path | None) -> int:
    """Print the catalogue, or write it as JSON or as the page of the documentation."""
    import msgspec

    from securitytests.mutants.registry import discover
    from securitytests.outputs import catalogue, table

    if as_json is not None:
        shown = [
            {
                name: getattr(check, name)
                for name in ("id", "title", "severity", "claim", "references", "cost_s", "tier")
            }
            for check in checks
        ]
        _write(as_json, msgspec.json.encode(shown) + b"\n")
    if markdown is not None:
        _write(markdown, catalogue.page(checks, discover()))
    if as_json is None and markdown is None:
        print(table.catalogue(checks))
    return ExitCode.HOLDS


def _write_outputs(
    report: "AuditReport",
    *,
    as_json: Path | None,
    junit: Path | None,
    sarif: Path | None,
    html: Path | None,
    markdown: Path | None,
) -> None:
    from securitytests.check import discover
    from securitytests.outputs import as_json as json_output
    from securitytests.outputs import junit as junit_output
    from securitytests.outputs import markdown as markdown_output
    from securitytests.outputs import page, table
    from securitytests.outputs import sarif as sarif_output

    if as_json is not None:
        _write(as_json, json_output.render(report))
    if junit is not None:
        _write(junit, junit_output.render(report))
    if sarif is not None:
        _write(sarif, sarif_output.render(report, discover()))
    if html is not None:
        _write(html, page.render(report))
    if markdown is not None:
        _write(markdown, markdown_output.render(report))
    if as_json != Path("-"):
        print(table.findings(report))


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; `-` is stdout."""
    if path == Path("-"):
        sys.stdout.write(content.decode())
        return
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"output {path}: cannot be written: {error.strerror}") from error


def _command() -> str:
    """Return the command line, a home folder in it shown from `~`."""
    home = str(Path.home())
    return shlex.join(["wsproof", *(one.replace(home, "~") for one in sys.argv[1:])])


def _relative(path: Path) -> str:
    """Return the path as seen from here, where that is possible: no home folder in the output."""
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.name
