"""What every output is made from, and the counts they share. Pure."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from monitor.contract.findings import Finding, TranscriptLine
from monitor.contract.verdicts import Verdict
from securitytests.check import Claim
from securitytests.probe.transcript import visible

#: Verdicts that are none: there is nothing to mend in the service.
_UNDECIDED = frozenset({Verdict.INCONCLUSIVE, Verdict.NOT_RUN})


def advice(finding: Finding) -> str:
    """Return how to mend what was found; empty where nothing was."""
    return "" if finding.verdict in _UNDECIDED else finding.remediation


def shown(text: str) -> str:
    """Return text of a service with its control characters spelled out, but for line ends."""
    return "\n".join(visible(line) for line in text.split("\n"))


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
        return _counted(self.findings)

    @property
    def applicable(self) -> int:
        """How many checks were applicable."""
        return sum(one.verdict is not Verdict.NOT_APPLICABLE for one in self.findings)

    @property
    def summary(self) -> str:
        """One line: `12 of 12 applicable: 11 PASS, 1 FAIL`."""
        words = _words(self.counts) or "none"
        told = sum(one.word != one.verdict for one in self.findings)
        note = f" ({told} reported only)" if told else ""
        return f"{self.applicable} of {len(self.findings)} checks applicable: {words}{note}"

    @property
    def by_claim(self) -> tuple[tuple[str, str], ...]:
        """Each claim's sentence with the count of its checks' verdicts; baselines last."""
        told = []
        for claim in (*Claim, None):
            carrying = [one for one in self.findings if one.claim == (claim and claim.value)]
            if carrying:
                sentence = claim.sentence if claim else "Baseline: part of no claim"
                told.append((sentence, _words(_counted(carrying))))
        return tuple(told)

    @property
    def attention(self) -> tuple[tuple[Finding, ...], ...]:
        """What is neither PASS nor NOT_APPLICABLE; together what has no verdict for one reason."""
        groups: dict[tuple[str, ...], list[Finding]] = {}
        for one in self.findings:
            if one.verdict in {Verdict.PASS, Verdict.NOT_APPLICABLE}:
                continue
            alone = one.verdict not in _UNDECIDED
            groups.setdefault((one.word, one.id if alone else one.reason), []).append(one)
        return tuple(map(tuple, groups.values()))

    @property
    def durations(self) -> str:
        """Whether the promised durations were tried, or shortened ones."""
        return "promised durations" if self.real_time else "shortened durations"


def _counted(findings: Iterable[Finding]) -> dict[Verdict, int]:
    counted = Counter(finding.verdict for finding in findings)
    return {verdict: counted[verdict] for verdict in Verdict if counted[verdict]}


def _words(counts: dict[Verdict, int]) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
