"""Provenance: the machine, the code and the conditions a run was made under."""

from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.wording import quantity

_SHORT = 12  # digits of a digest: enough to compare by eye, the whole stands in run.json


@table(Section.PROVENANCE)
def conditions(dossier: Dossier) -> Table:
    """Return where and from what the run was made."""
    record, came = dossier.record, dossier.record.provenance
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(came.libraries.items()))
    rows = (
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
    return Table(("", ""), rows)


def _loads(averages: tuple[float, float, float]) -> str:
    return ", ".join(f"{average:.2f}" for average in averages) + " (1, 5, 15 min)"
