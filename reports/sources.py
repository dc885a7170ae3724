"""What a document's regions draw on: the claims, and the newest evidence for each thing asked."""

from collections.abc import Sequence

from monitor.contract.claims import Claim
from monitor.contract.evidence import FINDINGS, Run, RunRecord
from monitor.contract.verdicts import RunVerdict
from reports.dossier import Dossier, open_dossier
from reports.runs import Evidence
from reports.standing import Standing, judge_all, standings

#: As an exhibit's source: any audit of all checks, whatever its scenario is called.
AUDIT = "audit"

#: The same, of every target there is.
EVERY_AUDIT = "audits"

#: The scenario of the gate tried on seeded flaws.
MUTANTS = "mutants"

#: The scenario of the gate tried on correct services: of no one target.
TWINS = "twins"


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
        """Open the newest run of a scenario (or `AUDIT`), None if there is none.

        Of `EVERY_AUDIT` the newest of each other target stands beside it.
        """
        run = self.evidence.newest(
            lambda record: is_from(source, record) and self._concerned(record)
        )
        if run is None:
            return None
        others = self._of_other_targets(run) if source == EVERY_AUDIT else ()
        return open_dossier(run, judge_all(self.claims, run), others)

    def _of_other_targets(self, run: Run) -> tuple[Run, ...]:
        names = {
            other.record.target
            for other in self.evidence
            if is_from(AUDIT, other.record) and other.record.target != run.record.target
        }
        return tuple(
            found for name in sorted(names) if (found := self._newest_audit(name)) is not None
        )

    def _newest_audit(self, target: str) -> Run | None:
        return self.evidence.newest(
            lambda record: is_from(AUDIT, record) and record.target == target
        )

    def _concerned(self, record: RunRecord) -> bool:
        """Tell whether a run is about the target; correct services prove the gate for any."""
        return record.scenario == TWINS or self.target in {None, record.target}


def is_from(source: str, record: RunRecord) -> bool:
    """Tell whether a run is of a source: its scenario, or an audit.

    An audit, or a trial of the gate, of chosen checks or flaws is of none, nor is one that did not
    come to its end: it shows a part.
    """
    if record.kind == "audit":
        chosen = record.parameters.get("only") not in {None, ""}
        if chosen or record.verdict is RunVerdict.INVALID:
            return False
    if source in {AUDIT, EVERY_AUDIT}:
        return record.kind == "audit" and FINDINGS in record.files
    return record.scenario == source
