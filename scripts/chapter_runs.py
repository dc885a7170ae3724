"""`make chapter`: make the runs that a chapter rests on and that today's monitor has not had yet.

A run counts if it measured the monitor as it is now and is not INVALID; an audit, if it tried every
check there is now.
"""

import subprocess
import sys
from collections.abc import Set as AbstractSet
from pathlib import Path

import monitor
from monitor.contract.evidence import RunRecord
from monitor.contract.provenance import digest_tree
from monitor.contract.verdicts import ExitCode, RunVerdict, WsproofError
from reports.checks import findings
from reports.runs import Evidence
from reports.sources import AUDIT, is_from
from scripts.cli.app import DEFAULT_RUNS
from scripts.cli.report import chosen_claims, evidence_folders
from securitytests.check import discover

_WSPROOF = ("-m", "scripts.wsproof")

#: What a chapter draws on, and the command that makes it.
COMMANDS: dict[str, tuple[str, ...]] = {
    "chapter": (*_WSPROOF, "load", "chapter"),
    "limit-flood": (*_WSPROOF, "load", "limit-flood"),
    "protocol": ("-m", "scripts.record_protocol"),
    AUDIT: (*_WSPROOF, "audit"),
}

#: How a command may end that made a run all the same: it said what it found.
_MADE = (ExitCode.HOLDS, ExitCode.BROKEN, ExitCode.NO_VERDICT)


def missing(
    evidence: Evidence, target: str | None, code_sha256: str, checks: AbstractSet[str]
) -> tuple[str, ...]:
    """Return the sources of which no run of this target and code, and of `checks`, is there."""
    found = {
        source
        for run in evidence
        for source in COMMANDS
        if is_from(source, run.record) and _counts(run.record, target, code_sha256)
        if source != AUDIT or checks <= {finding.id for finding in findings(run)}
    }
    return tuple(source for source in COMMANDS if source not in found)


def _counts(record: RunRecord, target: str | None, code_sha256: str) -> bool:
    same = record.provenance.code_sha256 == code_sha256 and record.target == target
    return same and record.verdict is not RunVerdict.INVALID


def main() -> int:
    """Make what is missing, one after the other; return the exit code."""
    try:
        wanted = _missing_now()
        for source in wanted:
            print(f"chapter: no run of {source} yet; making one", file=sys.stderr)
            done = subprocess.run(
                [sys.executable, *COMMANDS[source]], stdout=sys.stderr, check=False
            )
            if done.returncode not in _MADE:
                return done.returncode
        for source in set(wanted) & set(_missing_now()):
            print(
                f"chapter: the run of {source} is INVALID and leaves its claims open; run `make"
                " chapter` again on a quieter machine",
                file=sys.stderr,
            )
    except WsproofError as error:
        print(f"chapter: {error}", file=sys.stderr)
        return error.exit_code
    return ExitCode.HOLDS


def _missing_now() -> tuple[str, ...]:
    _, _, target = chosen_claims(None)
    code_sha256 = digest_tree(Path(monitor.__file__).parent)
    checks = {check.id for check in discover()}
    return missing(Evidence(evidence_folders(DEFAULT_RUNS)), target, code_sha256, checks)


if __name__ == "__main__":
    sys.exit(main())
