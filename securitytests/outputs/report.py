"""What every output is made from, and the counts they share. Pure."""

from collections import Counter

import msgspec

from monitor.contract.findings import Finding, TranscriptLine
from monitor.contract.verdicts import Verdict


class AuditReport(msgspec.Struct, frozen=True):
    """One audit as the outputs tell it. `profile` is the profile's path as given."""

    findings: tuple[Finding, ...]
    transcripts: tuple[TranscriptLine, ...]
    target: str
    target_url: str
    profile: str
    real_time: bool
    started_at: str
    seconds: float
    exit_code: int
    version: str

    def transcript_of(self, id: str) -> tuple[TranscriptLine, ...]:  # noqa: A002 - the field's word
        """Return the conversation of one check."""
        return tuple(line for line in self.transcripts if line.check == id)

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many findings have each verdict; verdicts that none has are left out."""
        counted = Counter(finding.verdict for finding in self.findings)
        return {verdict: counted[verdict] for verdict in Verdict if counted[verdict]}

    @property
    def applicable(self) -> int:
        """How many checks were applicable."""
        return sum(one.verdict is not Verdict.NOT_APPLICABLE for one in self.findings)

    @property
    def summary(self) -> str:
        """One line: `12 of 12 applicable: 11 PASS, 1 FAIL`."""
        words = ", ".join(f"{count} {verdict}" for verdict, count in self.counts.items())
        return f"{self.applicable} of {len(self.findings)} checks applicable: {words or 'none'}"

    @property
    def durations(self) -> str:
        """Whether the promised durations were tried, or shortened ones."""
        return "promised durations" if self.real_time else "shortened durations"
