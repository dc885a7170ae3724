"""Does the gate bite? Seeded flaws that were caught, claim by claim."""

from collections.abc import Sequence

from monitor.contract.verdicts import Verdict
from reports.dossier import Dossier
from reports.exhibits import Section, Table, table
from reports.gate import Trial, trials
from reports.sources import MUTANTS
from reports.wording import plural


@table(Section.SECURITY, source=MUTANTS)
def seeded_flaws(dossier: Dossier) -> Table | None:
    """Return detected and seeded flaws of each claim; what was not as it should be is named."""
    found = trials(dossier.run)
    if not found:
        return None
    claims = dict.fromkeys(one.claim for one in sorted(found, key=lambda one: one.claim or "~"))
    rows = [_row(_label(claim), [one for one in found if one.claim == claim]) for claim in claims]
    missed = [one.mutant for one in found if not one.detected and not _undecided(one)]
    undecided = [one.mutant for one in found if not one.detected and _undecided(one)]
    strays = [f"{one.mutant} by {', '.join(one.strays)}" for one in found if one.strays]
    met = "every check" if dossier.record.parameters.get("full") else "three others as controls"
    notes = [f"Each flaw met the checks that must catch it, and {met}."]
    notes += [f"Not caught: {', '.join(missed)}."] if missed else []
    notes += [f"No verdict: {', '.join(undecided)}."] if undecided else []
    notes += [f"Caught by a check that should not: {'; '.join(strays)}."] if strays else []
    return Table(
        ("Claim", "Detected", "Seeded"),
        (*rows, _row("**All**", found)),
        frozenset({1, 2}),
        (*notes, f"{plural(len(found), 'flaw')}; nothing is claimed beyond them."),
    )


def _undecided(trial: Trial) -> bool:
    """Tell whether no named check let the flaw pass, but one came to no verdict."""
    return all(trial.verdicts.get(name) is not Verdict.PASS for name in trial.caught_by)


def _row(label: str, those: Sequence[Trial]) -> tuple[str, str, str]:
    return label, str(sum(one.detected for one in those)), str(len(those))


def _label(claim: str | None) -> str:
    return "part of no claim" if claim is None else claim.replace("-", " ")
