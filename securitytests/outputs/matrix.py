"""Mutants and checks as a matrix for the terminal: which check said what of which flaw. Pure."""

from collections.abc import Sequence

from monitor.contract.verdicts import Verdict
from securitytests.check import Check
from securitytests.gate.mutation import Trial

_LEGEND = (
    "# caught, as it must   o MISSED   + failed, as it may   ! failed or applies no more, and must"
    " not   ? no verdict   . as without the flaw"
)


def render(tried: Sequence[Trial], checks: Sequence[Check]) -> str:
    """Return one row a mutant, one column a check that was tried, and what the marks mean."""
    columns = [check.id for check in checks if any(check.id in one.verdicts for one in tried)]
    width = max((len(one.mutant) for one in tried), default=0)
    depth = max(map(len, columns), default=0)
    heads = [
        " " * width + "  " + "".join(name.ljust(depth)[row] for name in columns)
        for row in range(depth)
    ]
    rows = [
        f"{one.mutant:{width}}  " + "".join(_mark(one, name) for name in columns) for one in tried
    ]
    return "\n".join([*heads, *rows, "", _LEGEND])


def _mark(trial: Trial, check: str) -> str:
    verdict = trial.verdicts.get(check)
    named = check in trial.caught_by
    if verdict is None:
        return " "
    if check in trial.strays:
        return "!"
    if verdict is Verdict.FAIL:
        return "#" if named else "+"
    if verdict in {Verdict.INCONCLUSIVE, Verdict.NOT_RUN}:
        return "?"
    return "o" if named else "."
