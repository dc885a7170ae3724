"""What the gate left behind about itself: seeded flaws tried, correct services examined.

The lines of `mutants.jsonl` and `twins.jsonl`, as far as reports need them.
"""

import re
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from monitor.contract.evidence import Run
from monitor.contract.verdicts import Verdict

_MUTANTS = "mutants.jsonl"
_TWINS = "twins.jsonl"

_Line = TypeVar("_Line")


class Trial(msgspec.Struct, frozen=True):
    """One seeded flaw: which checks must catch it, which may, and what each check said.

    Of the others, `strays` failed or no longer applied, and `unsettled` came to no verdict.
    """

    mutant: str
    flaw: str
    claim: str | None
    caught_by: tuple[str, ...]
    may: tuple[str, ...]
    verdicts: dict[str, Verdict]
    detected: bool
    strays: tuple[str, ...]
    defect: str
    unsettled: tuple[str, ...] = ()

    @property
    def word(self) -> str:
        """How it went: caught, missed, undecided (what must catch it came to no verdict), defect.

        A named check that passed, was waived or was not applicable let the flaw pass.
        """
        if self.defect:
            return "defect"
        if self.detected:
            return "caught"
        named = {self.verdicts.get(name, Verdict.NOT_RUN) for name in self.caught_by}
        passed = named - {Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_RUN}
        return "missed" if passed else "undecided"


class TwinRun(msgspec.Struct, frozen=True):
    """One run of the gate against a correct service: each check's verdict, and false alarms.

    `undecided` are checks that came to no verdict; `defect` says why nothing could be tried.
    """

    service: str
    verdicts: dict[str, Verdict]
    alarms: dict[str, str]
    undecided: dict[str, str]
    applicable: int
    total: int
    defect: str

    @property
    def clean(self) -> bool:
        """Whether every applicable check passed or was waived."""
        return not (self.alarms or self.undecided or self.defect) and self.applicable > 0


def trials(run: Run) -> tuple[Trial, ...]:
    """Return the seeded flaws of a run in the order of the checks that must catch them."""
    found = _read(run, _MUTANTS, Trial)
    return tuple(sorted(found, key=lambda one: (in_order(one.caught_by), one.mutant)))


def twin_runs(run: Run) -> tuple[TwinRun, ...]:
    """Return the runs against correct services, as they were made."""
    return _read(run, _TWINS, TwinRun)


def check_key(check: str) -> tuple[str, int]:
    """Return what checks are sorted by: category, then number."""
    match = re.fullmatch(r"(\D*)(\d*)", check)
    return (check, 0) if match is None else (match[1], int(match[2] or 0))


def in_order(checks: Iterable[str]) -> list[tuple[str, int]]:
    """Return checks as their keys, sorted."""
    return sorted(map(check_key, checks))


def _read(run: Run, file: str, kind: type[_Line]) -> tuple[_Line, ...]:
    if file not in run.record.files:
        return ()
    return tuple(msgspec.convert(line, kind) for line in run.lines(file))
