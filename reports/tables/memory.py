"""Memory, CPU and descriptors of the target and of what drove it, side by side."""

from collections.abc import Callable

import numpy as np

from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.series import Floats, Usage
from reports.wording import quantity

_NAMES = {"target": "Target", "generator": "Generator", "publisher": "Publisher"}

_Reduce = Callable[[Floats], np.float64]
_ROWS: tuple[tuple[str, str, str, _Reduce], ...] = (
    ("Peak RSS", "rss_bytes", "bytes", np.nanmax),
    ("Median RSS", "rss_bytes", "bytes", np.nanmedian),
    ("Median CPU, of one core", "cpu_percent", "percent", np.nanmedian),
    ("Peak CPU, of one core", "cpu_percent", "percent", np.nanmax),
    ("Most descriptors", "descriptors", "", np.nanmax),
    ("Most threads", "threads", "", np.nanmax),
)


@table(Section.RESOURCES)
def memory(dossier: Dossier) -> Table | None:
    """Return what each process tree used, from the samples of the whole run."""
    if dossier.resources is None:
        return None
    roles = dossier.resources.roles
    order = sorted(roles, key=lambda role: (*_NAMES, role).index(role))
    rows = tuple(
        (label, *(_cell(roles[role], column, unit, reduce) for role in order))
        for label, column, unit, reduce in _ROWS
    )
    samples = len(roles[order[0]].at_s)
    note = f"{samples:,} samples over the whole run, warm-up and pauses between repeats included."
    header = ("", *(_NAMES.get(role, role) for role in order))
    return Table(header, rows, frozenset(range(1, len(header))), (note,))


def _cell(usage: Usage, column: str, unit: str, reduce: _Reduce) -> str:
    values: Floats = getattr(usage, column)
    if np.isnan(values).all():
        return "not readable"
    figure = float(reduce(values))
    return quantity(figure, unit) if unit else f"{figure:,.0f}"
