"""The words results are given in, and the exit codes and errors that carry them.

Every command maps its outcome through `ExitCode`; every expected failure is a `WsproofError`,
so that one place can turn it into a message and a code.
"""

from enum import IntEnum, StrEnum


class Verdict(StrEnum):
    """Outcome of one security check. Each starts as NOT_RUN; only PASS passes."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    WAIVED = "WAIVED"
    NOT_RUN = "NOT_RUN"


class RunVerdict(StrEnum):
    """Whether a run's figures can be believed, whatever they say."""

    VALID = "VALID"
    SUSPECT = "SUSPECT"
    INVALID = "INVALID"


class ClaimVerdict(StrEnum):
    """What the evidence says of a claim. No data is UNPROVEN, never TRUE."""

    TRUE = "TRUE"
    FALSE = "FALSE"
    UNPROVEN = "UNPROVEN"


class Severity(StrEnum):
    """How much harm a failed check stands for."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class ExitCode(IntEnum):
    """Process exit codes, the same for every command."""

    HOLDS = 0
    BROKEN = 1
    USAGE = 2
    NO_VERDICT = 3
    STALE = 4
    REFUSED = 5
    INTERNAL = 70


class WsproofError(Exception):
    """An expected failure. Its text says who, what was expected, what came, what to do next."""

    exit_code = ExitCode.INTERNAL


class UsageError(WsproofError):
    """Wrong usage or configuration: a flag, a file, a port, a permission."""

    exit_code = ExitCode.USAGE


class NoVerdictError(WsproofError):
    """Nothing can be concluded: the target was never reachable, or evidence is unusable."""

    exit_code = ExitCode.NO_VERDICT


class StaleError(WsproofError):
    """A document no longer says what the evidence says, or was edited by hand."""

    exit_code = ExitCode.STALE


class RefusedError(WsproofError):
    """A guard refused: the harness will not do this without explicit permission."""

    exit_code = ExitCode.REFUSED
