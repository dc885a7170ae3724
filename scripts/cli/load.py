"""`wsproof load`: drive a target with a scenario, write the evidence, judge the claims."""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.contract.verdicts import ExitCode, UsageError
from scripts.cli.app import DEFAULT_RUNS, REFERENCE_TARGET, RunsOption, app
from scripts.failure import meaning

if TYPE_CHECKING:
    from loadtests.catalogue import Entry
    from loadtests.plan import Plan
    from monitor.contract.evidence import RunRecord
    from monitor.contract.target import Target
    from reports.build import Report


@app.command()
def load(
    scenario: Annotated[
        str | None, typer.Argument(metavar="SCENARIO", help="Which scenario; see --list.")
    ] = None,
    target: Annotated[
        Path, typer.Option("--target", help="Target profile (TOML).", show_default=False)
    ] = REFERENCE_TARGET,
    clients: Annotated[int | None, typer.Option(help="Subscribers, one connection each.")] = None,
    rate: Annotated[float | None, typer.Option(help="Events offered a second.")] = None,
    duration: Annotated[
        float | None, typer.Option(metavar="S", help="Measured window of a repeat, in seconds.")
    ] = None,
    warmup: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds before it, not measured.")
    ] = None,
    repeats: Annotated[int | None, typer.Option(help="How often to measure.")] = None,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", help="Locust processes that share the clients.")
    ] = 1,
    trace: Annotated[Path | None, typer.Option(help="Recorded events to replay.")] = None,
    runs: RunsOption = DEFAULT_RUNS,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the intervals' resampling.")] = 1,
    listing: Annotated[bool, typer.Option("--list", help="List the scenarios.")] = False,
    ui: Annotated[bool, typer.Option("--ui", help="Show Locust's web page meanwhile.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            "--objective",
            metavar="TEXT",
            help="What must hold: 'p99 < 20 ms', 'lost = 0', 'rss < 100 MB'. Repeatable.",
        ),
    ] = None,
    allowed: Annotated[
        list[str] | None,
        typer.Option("--i-am-allowed-to-test", metavar="HOST", help="A host that is not loopback."),
    ] = None,
) -> int:
    """Measure a target under load and judge its claims."""
    from loadtests.bench import WEB_HOST, WEB_PORT, require_web_port
    from loadtests.measure import measure
    from loadtests.plan import make_plan
    from loadtests.scenarios import find
    from monitor.contract.claims import load_claims
    from monitor.contract.evidence import load_run
    from monitor.contract.target import load_target
    from reports.build import build, exit_code
    from scripts.load_display import display

    if listing:
        return _list(load_target(target), as_json=as_json)
    if scenario is None:
        raise UsageError("load: which scenario? `wsproof load --list` describes them")
    plan = make_plan(
        find(scenario),
        load_target(target),
        clients=clients,
        rate=rate,
        warmup_s=warmup,
        window_s=duration,
        repeats=repeats,
        trace=trace,
        allowed_hosts=tuple(allowed or ()),
        objectives=tuple(objective or ()),
        workers=workers,
    )
    if ui:
        require_web_port()
    claims_path = plan.target.claims_path
    claims = load_claims(claims_path) if claims_path else ()
    command = shlex.join(["wsproof", *_without_home(sys.argv[1:])])
    if not as_json:
        print(_intention(plan), file=sys.stderr)
    if workers > 1 and not as_json:
        said = "the median receiver of an event is unknown with several workers"
        print(f"{workers} Locust processes: {said}", file=sys.stderr)
    if ui:
        print(f"Locust's page, during each repeat: http://{WEB_HOST}:{WEB_PORT}", file=sys.stderr)
    with display(plan) as tell:
        run = measure(plan, runs, command=command, seed=seed, ui=ui, tell=tell)
    record = load_run(run).record
    report = build(run, (*claims, *plan.objectives), run.with_name(f"{run.name}.report"))
    code = exit_code(record, report.judgements)
    _print_outcome(record, report, run, code, as_json=as_json)
    return code


def _list(target: "Target", *, as_json: bool) -> int:
    """Say what a default run of each scenario does on a target, or what it would need."""
    from loadtests.catalogue import entries

    found = entries(target)
    if as_json:
        print(json.dumps({one.name: one.document() for one in found}))
        return ExitCode.HOLDS
    does = [
        f"needs {one.lacks}" if one.lacks else f"{one.extent.offered}, {one.extent.takes}"
        for one in found
    ]
    for one, said in zip(found, does, strict=True):
        print(f"{one.name:15}  {said:{max(map(len, does))}}  {one.title}")
    lacking = f" What {target.path.name} lacks: docs/targets.md." if _lacks_any(found) else ""
    print(
        "\nRepeats × measured window, and how long it takes in all. Five repeats span an interval;"
        f" `wsproof explain NAME` says why one has a single one.{lacking}"
    )
    return ExitCode.HOLDS


def _lacks_any(entries: "list[Entry]") -> bool:
    return any(one.lacks for one in entries)


def _intention(plan: "Plan") -> str:
    offered = f"{plan.scenario.name()}: {plan.clients} clients, {plan.rate:g} events/s"
    extent = plan.extent
    return f"{offered}, {extent.offered} against {plan.target.name}; {extent.takes}"


def _print_outcome(
    record: "RunRecord", report: "Report", run: Path, code: ExitCode, *, as_json: bool
) -> None:
    if as_json:
        outcome = {
            "run": record.id,
            "verdict": record.verdict,
            "reasons": record.reasons,
            "notes": _notes(record),
            "claims": {one.claim.id: one.verdict for one in report.judgements},
            "metrics": {name: metric.value for name, metric in record.metrics.items()},
            "evidence": str(run),
            "report": str(report.markdown),
            "exit_code": int(code),
            "exit_meaning": meaning(code),
        }
        print(json.dumps(outcome))
        return
    print(report.table)
    print()
    for note in _notes(record):
        print(f"{note}\n")
    print(f"Run {record.verdict}: {meaning(code)}.")
    print(f"\nEvidence: {run}\nReport:   {report.markdown}")


def _notes(record: "RunRecord") -> list[str]:
    """Quote what the target had against publisher or clients, the first time each."""
    notes = []
    for what, says in (
        ("first_refusal", "the target refused events, first with"),
        ("publisher_lost", "the target and the publisher"),
        ("clients_refused", "the target refused"),
    ):
        for repeat in record.repeats:
            told = record.parameters.get(f"repeat_{repeat.number}_{what}")
            if told:
                notes.append(f"Repeat {repeat.number}: {says}: {told}")
                break
    return notes


def _without_home(arguments: list[str]) -> list[str]:
    """Keep home folders out of the evidence: a path below one is shown from `~`."""
    home = str(Path.home())
    return [argument.replace(home, "~") for argument in arguments]
