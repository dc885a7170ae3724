"""The table of scenarios in docs/scenarios.md, made from the scenarios themselves.

`python -m loadtests.catalogue` writes it; a test says so when it is stale.
"""

from pathlib import Path

from loadtests.scenarios import discover

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scenarios.md"

_BEGIN = "<!-- scenarios: made by `python -m loadtests.catalogue` -->\n"
_END = "<!-- end of scenarios -->\n"


def table() -> str:
    """Return the table, one scenario a row."""
    rows = [
        "| scenario | what it shows | clients | events/s | window |",
        "| --- | --- | --- | --- | --- |",
    ]
    rows += [
        f"| `{name}` | {one.title()} | {one.clients:,} | {one.rate:,.0f} | {one.window_s:g} s |"
        for name, one in discover().items()
    ]
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
