"""How a function becomes a text of a document; see `reports.passages`."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from reports.sources import Sources

#: Takes the sources and the region's present lines (for a table's own headings); returns Markdown,
#: or None where there is nothing to tell it from.
MakePassage = Callable[[Sources, str], str | None]

_MARK = "_wsproof_passage"


@dataclass(frozen=True, slots=True)
class Passage:
    """A function that writes a text, and the region it fills."""

    name: str
    make: MakePassage


def passage(make: MakePassage) -> MakePassage:
    """Mark a function as a text of a document; its name, with dashes, is the region's."""
    setattr(make, _MARK, Passage(make.__name__.replace("_", "-"), make))
    return make


def passages() -> dict[str, Passage]:
    """Return every marked function in `reports.passages` by its region's name."""
    room = importlib.import_module("reports.passages")
    found = {}
    for module in pkgutil.iter_modules(room.__path__):
        for member in vars(importlib.import_module(f"{room.__name__}.{module.name}")).values():
            one = getattr(member, _MARK, None)
            if isinstance(one, Passage):
                found[one.name] = one
    return found
