"""Does the gate cry wolf? What it said of correct services, in shuffled orders."""

import math
from collections.abc import Sequence

from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.gate import TwinRun, twin_runs
from reports.sources import TWINS
from reports.wording import plural


@table(Section.SECURITY, source=TWINS)
def false_alarms(dossier: Dossier) -> Table | None:
    """Return runs, clean runs, findings and undecided checks of each correct service."""
    runs = twin_runs(dossier.run)
    if not runs:
        return None
    rows = [
        _row(service, [run for run in runs if run.service == service])
        for service in dict.fromkeys(run.service for run in runs)
    ]
    return Table(
        ("Service", "Runs", "Clean", "False alarms", "No verdict", "Applicable checks"),
        (*rows, _row("**All**", runs)),
        frozenset(range(1, 6)),
        (_bound(runs), *_reasons(runs)),
    )


def _row(label: str, runs: Sequence[TwinRun]) -> tuple[str, ...]:
    least, total = min((run.applicable, run.total) for run in runs)
    return (
        label,
        str(len(runs)),
        str(sum(run.clean for run in runs)),
        str(sum(len(run.alarms) for run in runs)),
        str(sum(len(run.undecided) for run in runs)),
        f"{least} of {total}",
    )


def _bound(runs: Sequence[TwinRun]) -> str:
    """Say what so many runs without a false alarm show: the rule of three."""
    alarms, clean = sum(len(run.alarms) for run in runs), sum(run.clean for run in runs)
    told = f"False alarms/clean runs: {alarms}/{clean}"
    if clean < len(runs):
        return f"{told}, of {plural(len(runs), 'run')}: no bound follows."
    percent = min(100, math.ceil(300 / len(runs)))
    services = len({run.service for run in runs})
    mixed = f", as if the {services} services were one" if services > 1 else ""
    return (
        f"{told}: at most {percent} % of runs raise one (3/n, 95 % confidence, for independent"
        f" runs{mixed})."
    )


def _reasons(runs: Sequence[TwinRun]) -> list[str]:
    """Name every check that was not as it should be, with what it said."""
    return [
        f"{run.service}, {check}: {why}"
        for run in runs
        for check, why in (run.alarms | run.undecided).items()
    ] + [f"{run.service}: {run.defect}" for run in runs if run.defect]
