"""What a security audit leaves behind: one finding a check, and the conversation behind it.

The lines of `findings.jsonl` and `transcripts.jsonl` in a run folder of kind `audit`.
"""

from typing import Literal

import msgspec

from monitor.contract.verdicts import Severity, Verdict

Direction = Literal["sent", "received", "note"]


class Observation(msgspec.Struct, frozen=True):
    """One variant of a check: what was expected of the service and what it did.

    `verdict` is PASS, FAIL or INCONCLUSIVE.
    """

    variant: str
    verdict: Verdict
    expected: str
    actual: str


class Finding(msgspec.Struct, frozen=True):
    """The outcome of one check, with all a report needs to tell it.

    `claim` is the id of the claim the check carries, None for a baseline. `reason` says why the
    verdict is what it is; `expected` and `actual` are those of the observation that decided.
    `repeat` is the command that repeats this check alone. `figures` are what it measured, units in
    their names. `variant` is the variant of the profile it ran on. Where `gating` is false, the
    verdict is reported and neither FAIL nor INCONCLUSIVE fails the audit.
    """

    id: str
    title: str
    verdict: Verdict
    severity: Severity
    claim: str | None
    references: tuple[str, ...]
    remediation: str
    reason: str
    expected: str
    actual: str
    observations: tuple[Observation, ...]
    repeat: str
    seconds: float
    variant: str = ""
    figures: dict[str, float] = {}
    waiver: str = ""
    gating: bool = True

    @property
    def word(self) -> str:
        """The verdict, with a note where it would fail an audit but is only reported."""
        only_told = not self.gating and self.verdict in {Verdict.FAIL, Verdict.INCONCLUSIVE}
        return f"{self.verdict} (reported only)" if only_told else str(self.verdict)


class TranscriptLine(msgspec.Struct, frozen=True):
    """One thing that was sent or received, summarised; tokens never stand in it.

    `at_s` counts from the start of the check, `connection` the check's connections from 1 (0: none
    in particular), `size_bytes` what the summary stands for.
    """

    check: str
    variant: str
    at_s: float
    connection: int
    direction: Direction
    summary: str
    size_bytes: int
