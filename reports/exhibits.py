"""Tables and figures as plain values, and how a function becomes part of the report.

`@table` and `@figure` mark a function that draws on a `Dossier`; every module in
`reports.tables` and `reports.figures` is searched for them, so there is no list to edit. Nothing
here knows Markdown, HTML or file formats.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from reports.dossier import Dossier

if TYPE_CHECKING:  # judging claims draws nothing
    from matplotlib.figure import Figure


class Section(StrEnum):
    """The report's sections, in reading order."""

    CLAIMS = "Claims"
    OWN = "What this scenario is about"
    LATENCY = "Latency"
    DELIVERY = "Throughput and delivery"
    RESOURCES = "Memory and CPU"
    CAPACITY = "Capacity"
    CONNECTIONS = "Connecting and reconnecting"
    LIMITS = "Limits"
    AUTHENTICATION = "Authentication"
    SECURITY = "Security"
    PROVENANCE = "Where these figures come from"


@dataclass(frozen=True, slots=True)
class Table:
    """Text in rows and columns; `numeric` columns are set flush right."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure before it is drawn: its message, what it shows, and how to draw it.

    `title` is the answer to the figure's one question, `alt` what a reader who cannot see it
    needs; `columns` and `rows` are exactly what is plotted, units in the column names.
    """

    title: str
    alt: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    draw: Callable[["Figure"], None]
    height_in: float = 3.6


MakeTable = Callable[[Dossier], Table | None]
MakePlot = Callable[[Dossier], Plot | None]
Made = TypeVar("Made", Table, Plot)


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A function that makes a table or a figure, and where in the report it stands.

    The function returns None when the evidence holds nothing for it to show.
    """

    name: str
    section: Section
    kind: str
    source: str
    make: Callable[[Dossier], Table | Plot | None]

    @property
    def code(self) -> Path:
        """The file the function stands in."""
        return Path(inspect.getfile(self.make))


_MARK = "_wsproof_exhibit"


def table(section: Section, source: str = "chapter") -> Callable[[MakeTable], MakeTable]:
    """Mark a function as a table of the report; its name, with dashes, is the table's.

    `source` is the scenario whose newest run a document's table is made from.
    """

    def mark(make: MakeTable) -> MakeTable:
        setattr(make, _MARK, Exhibit(_name(make), section, "table", source, make))
        return make

    return mark


def figure(section: Section, source: str = "chapter") -> Callable[[MakePlot], MakePlot]:
    """Mark a function as a figure of the report; its name, with dashes, is its files'."""

    def mark(make: MakePlot) -> MakePlot:
        setattr(make, _MARK, Exhibit(_name(make), section, "figure", source, make))
        return make

    return mark


def _name(make: Callable[..., object]) -> str:
    return make.__name__.strip("_").replace("_", "-")


def exhibits() -> tuple[Exhibit, ...]:
    """Return every marked function: by section, figures before tables, then by name."""
    order = list(Section)
    return tuple(
        sorted(_marked(), key=lambda found: (order.index(found.section), found.kind, found.name))
    )


def _marked() -> Iterator[Exhibit]:
    for room in ("reports.tables", "reports.figures"):
        for module in pkgutil.iter_modules(importlib.import_module(room).__path__):
            members = vars(importlib.import_module(f"{room}.{module.name}")).values()
            yield from (
                found
                for each in members
                if isinstance(found := getattr(each, _MARK, None), Exhibit)
            )
