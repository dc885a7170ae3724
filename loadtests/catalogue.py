"""The scenarios in a table, made from the scenarios themselves: for the list and for the page.

`python -m loadtests.catalogue` writes the one in docs/scenarios.md; a test says so when it is
stale.
"""

from pathlib import Path

import msgspec

from loadtests.extent import Extent
from loadtests.plan import asked_of, extent_of
from loadtests.scenarios import discover
from monitor.contract import target as contract
from monitor.contract.target import Target, load_target

REFERENCE = Path(contract.__file__).parents[1] / "target.toml"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "scenarios.md"

_BEGIN = "<!-- scenarios: made by `python -m loadtests.catalogue` -->\n"
_END = "<!-- end of scenarios -->\n"


class Entry(msgspec.Struct, frozen=True):
    """What a run of a scenario does unless the command line says otherwise.

    `lacks` is the key of the target profile without which it does not apply.
    """

    name: str
    title: str
    clients: int
    rate: float
    extent: Extent
    once: str
    lacks: str | None

    def document(self) -> dict[str, object]:
        """Return it for programs, units in the names."""
        least_s, most_s = self.extent.takes_s
        return {
            "title": self.title,
            "clients": self.clients,
            "rate_events_per_s": self.rate,
            "points": self.extent.points,
            "repeats": self.extent.repeats,
            "window_s": self.extent.window_s,
            "attempts": self.extent.attempts,
            "takes_about_s": [round(least_s), round(most_s)],
            "lacks": self.lacks,
        }


def entries(target: Target) -> list[Entry]:
    """Return every scenario as a default run on a target has it."""
    return [
        Entry(
            name,
            one.title(),
            one.clients,
            one.rate,
            extent_of(one, asked_of(one, target)),
            one.once,
            one.lacks(target),
        )
        for name, one in discover().items()
    ]


def table() -> str:
    """Return the table, one scenario a row, for the reference monitor."""
    found = entries(load_target(REFERENCE))
    rows = [
        "| scenario | what it shows | clients | events/s | repeats × window | takes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    rows += [
        f"| `{one.name}` | {one.title} | {one.clients:,} | {one.rate:,.0f}"
        f" | {one.extent.offered} | {one.extent.takes} |"
        for one in found
    ]
    rows += ["", "Where one repeat is what it is:", ""]
    rows += [f"- `{one.name}`: {one.once}." for one in found if one.once]
    return "\n".join(rows) + "\n"


def renewed(page: str) -> str:
    """Return the page with the table as it is now.

    Raises:
        ValueError: the page has lost its marks.
    """
    before, _, rest = page.partition(_BEGIN)
    _, mark, after = rest.partition(_END)
    if not mark:
        raise ValueError(f"docs/scenarios.md: expected {_BEGIN.strip()} … {_END.strip()}")
    return before + _BEGIN + table() + _END + after


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
