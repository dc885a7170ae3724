"""What a document's regions draw on: the claims, and the newest evidence for each thing asked."""

from collections.abc import Sequence

from monitor.contract.claims import Claim
from monitor.contract.evidence import FINDINGS, RunRecord
from reports.dossier import Dossier, open_dossier
from reports.runs import Evidence
from reports.standing import Standing, judge_all, standings

#: As an exhibit's source: any audit of all checks, whatever its scenario is called.
AUDIT = "audit"


class Sources:
    """Claims and evidence for one text.

    What was used stands in `evidence.used` afterwards, how the claims stood in `judged`.
    """

    def __init__(self, claims: Sequence[Claim], target: str | None, evidence: Evidence) -> None:
        self.claims = tuple(claims)
        self.target = target
        self.evidence = evidence
        self.judged: list[Standing] = []

    def group(self, name: str) -> tuple[Claim, ...]:
        """Return the claims of one table or list."""
        return tuple(claim for claim in self.claims if claim.group == name)

    def standings(self, group: str) -> tuple[Standing, ...]:
        """Judge the claims of one group."""
        found = standings(self.group(group), self.target, self.evidence)
        self.judged += found
        return found

    def dossier(self, source: str) -> Dossier | None:
        """Open the newest run of a scenario (or `AUDIT`), None if there is none."""
        run = self.evidence.newest(
            lambda record: self.target in {None, record.target} and is_from(source, record)
        )
        return None if run is None else open_dossier(run, judge_all(self.claims, run))


def is_from(source: str, record: RunRecord) -> bool:
    """Tell whether a run is of a source: its scenario, or an audit of all checks."""
    if source == AUDIT:
        whole = record.parameters.get("only") in {None, ""}
        return record.kind == "audit" and FINDINGS in record.files and whole
    return record.scenario == source
