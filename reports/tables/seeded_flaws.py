"""Does the gate bite? Seeded flaws that were caught, claim by claim."""

from collections.abc import Sequence

from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.gate import Trial, trials
from reports.sources import MUTANTS
from reports.wording import plural

#: How flaws are named that were not caught.
_TOLD = {"missed": "Not caught", "undecided": "No verdict", "defect": "Could not be tried"}


@table(Section.SECURITY, source=MUTANTS)
def seeded_flaws(dossier: Dossier) -> Table | None:
    """Return detected and seeded flaws of each claim; what was not as it should be is named."""
    found = trials(dossier.run)
    if not found:
        return None
    claims = dict.fromkeys(one.claim for one in sorted(found, key=lambda one: one.claim or "~"))
    rows = [_row(_label(claim), [one for one in found if one.claim == claim]) for claim in claims]
    strays = [f"{one.mutant} by {', '.join(one.strays)}" for one in found if one.strays]
    unsettled = [f"{one.mutant}, {', '.join(one.unsettled)}" for one in found if one.unsettled]
    met = "every check" if dossier.record.parameters.get("full") else "three others as controls"
    notes = [f"Each flaw met the checks that must catch it, and {met}."]
    for word, told in _TOLD.items():
        those = [one.mutant for one in found if one.word == word]
        notes += [f"{told}: {', '.join(those)}."] if those else []
    notes += [f"Caught by a check that should not: {'; '.join(strays)}."] if strays else []
    notes += [f"No verdict of a control: {'; '.join(unsettled)}."] if unsettled else []
    return Table(
        ("Claim", "Detected", "Seeded"),
        (*rows, _row("**All**", found)),
        frozenset({1, 2}),
        (*notes, f"{plural(len(found), 'flaw')}; nothing is claimed beyond them."),
    )


def _row(label: str, those: Sequence[Trial]) -> tuple[str, str, str]:
    return label, str(sum(one.detected for one in those)), str(len(those))


def _label(claim: str | None) -> str:
    return "part of no claim" if claim is None else claim.replace("-", " ")
