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

    from scripts.audit_outputs import Outputs
    from securitytests.check import Check
    from securitytests.gate.plan import Permissions, Plan
    from securitytests.outputs.report import AuditReport

#: What `--list --json` tells of a check.
_LISTED = ("id", "title", "severity", "claim", "references", "cost_s", "tier", "gating")


#: Runs on correct services, unless another number is asked for.
_REPEATS = 20


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
    twins: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Try the checks on correct services instead."),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(min=1, help="With --twins: runs, each in another order; 20 by default."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Begin the checks in an order drawn with this seed.")
    ] = None,
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
    from scripts import audit_trials
    from scripts.audit_outputs import Outputs, require_room
    from securitytests.check import discover, select
    from securitytests.gate.plan import make_plan

    if listing:
        return _list(select(discover(), only), as_json, markdown)
    outputs = Outputs(json=as_json, junit=junit, sarif=sarif, html=html, markdown=markdown)
    tried = "--mutants" if mutants else "--twins" if twins else ""
    if mutants and twins is not None:
        raise UsageError("audit: --twins and --mutants are two commands; give one of them")
    _require_agreement(tried, outputs, full=full, repeats=repeats)
    require_room(runs)
    outputs.require_writable()
    permissions = _permissions(allowed, tier, budget_connections, budget_seconds)
    if twins is not None:
        return audit_trials.twins(
            twins, repeats or _REPEATS, seed, only, runs, _command(), real_time=real_time
        )
    plan = make_plan(
        load_target(target),
        only=None if mutants else only,
        real_time=real_time,
        permissions=permissions,
        seed=seed,
    )
    if mutants:
        return audit_trials.mutants(plan, only, runs, _command(), full=full)
    report = _audit(plan, target, runs)
    outputs.write(report)
    return report.exit_code


def _require_agreement(tried: str, outputs: "Outputs", *, full: bool, repeats: int | None) -> None:
    """See that the options given belong together."""
    from scripts.audit_outputs import Outputs

    if repeats is not None and tried != "--twins":
        raise UsageError("audit: --repeats goes with --twins; an audit is one run")
    if full and tried != "--mutants":
        raise UsageError("audit: --full goes with --mutants; without, every check runs anyway")
    if tried and outputs != Outputs():
        raise UsageError(
            f"audit {tried}: there is no file of it to write; its evidence is in the run folder"
        )


def _permissions(
    allowed: list[str] | None, tier: str | None, connections: int | None, seconds: float | None
) -> "Permissions":
    from securitytests.gate.plan import Permissions

    if tier not in {None, "gentle", "destructive"}:
        raise UsageError(f"--tier {tier!r}: expected gentle or destructive")
    return Permissions(tuple(allowed or ()), tier, connections, seconds)  # type: ignore[arg-type]


def _audit(plan: "Plan", profile: Path, runs: Path) -> "AuditReport":
    """Conduct the audit and write its evidence, of one that is interrupted as well.

    Raises:
        KeyboardInterrupt: it was; no verdict is possible.
    """
    from importlib.metadata import version

    from monitor.contract.evidence import load_run
    from monitor.contract.provenance import utc_now
    from scripts.audit_display import display
    from securitytests.gate.conclude import exit_code
    from securitytests.gate.interruption import run_interruptibly
    from securitytests.gate.record import AuditRecorder
    from securitytests.gate.run import Gate
    from securitytests.gate.stalls import too_long
    from securitytests.outputs.report import AuditReport

    started_at = utc_now()
    recorder = AuditRecorder(runs, _command(), plan.target.path, seed=plan.seed)
    given = "" if profile == REFERENCE_TARGET else f" --target {shlex.quote(str(profile))}"
    with display(len(plan.checks) + len(plan.left_out)) as tell:
        gate = Gate(plan, tell.finding, repeat=f"wsproof audit{given} --only {{id}}")
        try:
            outcome = run_interruptibly(gate.run())
        except KeyboardInterrupt:
            outcome = gate.interrupted()
    folder = recorder.findings(plan, outcome)
    print(f"Evidence: {load_run(folder).path}", file=sys.stderr)
    if outcome.interrupted:
        raise KeyboardInterrupt
    stall = too_long(outcome.stalled_s, plan.target.promises.tolerance_s)
    if stall:
        print(f"audit: doubt what it timed: {stall}; run it again alone", file=sys.stderr)
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


def _list(checks: "Sequence[Check]", as_json: Path | None, markdown: Path | None) -> int:
    """Print the catalogue, or write it as JSON or as the page of the documentation."""
    import msgspec

    from scripts.audit_outputs import write
    from securitytests.mutants.registry import discover
    from securitytests.outputs import catalogue, table

    if as_json is not None:
        shown = [{name: getattr(check, name) for name in _LISTED} for check in checks]
        write(as_json, msgspec.json.encode(shown) + b"\n")
    if markdown is not None:
        write(markdown, catalogue.page(checks, discover()))
    if as_json is None and markdown is None:
        print(table.catalogue(checks))
    return ExitCode.HOLDS


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
