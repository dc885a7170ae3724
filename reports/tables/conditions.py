"""Provenance: the machine, the code and the conditions runs were made under."""

from collections.abc import Sequence

from monitor.contract.evidence import RunRecord
from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.wording import quantity

_SHORT = 12  # digits of a digest: enough to compare by eye, the whole stands in run.json

#: What stands in the table of runs already, or is another for each run.
_OF_EACH_RUN = frozenset(
    {"Run", "Target", "Started, finished", "Seed", "Load average before", "Load average after"}
)


@table(Section.PROVENANCE)
def conditions(dossier: Dossier) -> Table:
    """Return where and from what the run was made."""
    return Table(("", ""), _rows(dossier.record))


def conditions_of(records: Sequence[RunRecord]) -> Table:
    """Return what several runs were made under; where they differ, which run had what."""
    told: dict[str, dict[str, list[str]]] = {}
    for record in records:
        for name, value in _rows(record):
            if name not in _OF_EACH_RUN:
                told.setdefault(name, {}).setdefault(value, []).append(record.scenario)
    return Table(("", ""), tuple((name, _values(values)) for name, values in told.items()))


def runs_table(records: Sequence[RunRecord], host: str | None = None) -> Table:
    """Return one row a run; with `host`, runs of another machine are marked."""
    rows = tuple(
        (
            f"`{record.id}`" + _elsewhere(record, host),
            record.target,
            f"**{record.verdict}**",
            record.provenance.started_at,
            f"{record.provenance.load_average_before[0]:.2f}",
            f"`{record.provenance.command}`",
        )
        for record in records
    )
    header = ("Run", "Target", "", "Started", "Load before", "Made by")
    notes = tuple(
        f"**{record.verdict}** `{record.id}`: {reason}."
        for record in records
        for reason in record.reasons
    )
    return Table(header, rows, numeric=frozenset({4}), notes=notes)


def _elsewhere(record: RunRecord, host: str | None) -> str:
    return " (another machine)" if host not in {None, record.provenance.host} else ""


def _values(values: dict[str, list[str]]) -> str:
    if len(values) == 1:
        return next(iter(values))
    return "; ".join(f"{value} ({', '.join(scenarios)})" for value, scenarios in values.items())


def _rows(record: RunRecord) -> tuple[tuple[str, str], ...]:
    came = record.provenance
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(came.libraries.items()))
    return (
        ("Run", f"`{record.id}`"),
        ("Target", f"{record.target}, `{record.target_url}`"),
        ("Started, finished", f"{came.started_at}, {came.finished_at}"),
        ("Commit", "not a checkout" if came.commit is None else f"`{came.commit}`"),
        ("Measured code (SHA-256)", f"`{came.code_sha256[:_SHORT]}…`"),
        ("Target profile (SHA-256)", f"`{came.profile_sha256[:_SHORT]}…`"),
        ("Seed", "none" if came.seed is None else str(came.seed)),
        ("CPU", f"{came.cpu_model}, {came.cpu_count} logical"),
        ("Memory", quantity(came.memory_bytes, "bytes")),
        ("Kernel", came.kernel),
        ("Open files limit", f"{came.open_files_limit:,}"),
        ("Python", came.python),
        ("Libraries", libraries or "none"),
        ("Load average before", _loads(came.load_average_before)),
        ("Load average after", _loads(came.load_average_after)),
        ("Host (hashed)", f"`{came.host}`"),
    )


def _loads(averages: tuple[float, float, float]) -> str:
    return ", ".join(f"{average:.2f}" for average in averages) + " (1, 5, 15 min)"
