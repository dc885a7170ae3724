"""The table of scenarios in docs/scenarios.md, made from the scenarios themselves.

`python -m loadtests.catalogue` writes it; a test says so when it is stale.
"""

from pathlib import Path

from loadtests.plan import Plan, make_plan
from loadtests.scenarios import discover
from monitor.contract import target as contract
from monitor.contract.target import load_target

REFERENCE = Path(contract.__file__).parents[1] / "target.toml"
PAGE = Path(__file__).resolve().parents[1] / "docs" / "scenarios.md"

_BEGIN = "<!-- scenarios: made by `python -m loadtests.catalogue` -->\n"
_END = "<!-- end of scenarios -->\n"


def table() -> str:
    """Return the table, one scenario a row."""
    scenarios = discover()
    rows = [
        "| scenario | what it shows | clients | events/s | repeats × window | takes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, one in scenarios.items():
        plan = make_plan(one, load_target(REFERENCE))
        rows.append(
            f"| `{name}` | {one.title()} | {one.clients:,} | {one.rate:,.0f}"
            f" | {plan.planned or one.repeats} × {one.window_s:g} s | {_takes(plan)} |"
        )
    rows += ["", "Where one repeat is what it is:", ""]
    rows += [f"- `{name}`: {one.once}." for name, one in scenarios.items() if one.once]
    return "\n".join(rows) + "\n"


def _takes(plan: Plan) -> str:
    """Say how long a run of the reference monitor takes, in minutes."""
    seconds = plan.takes_s
    return "it depends" if seconds is None else f"{seconds / 60:.1f} min"


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
