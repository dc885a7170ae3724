"""`make chapter`: make the runs that a chapter rests on and that today's monitor has not had yet.

A run counts if it measured the monitor as it is now and is not INVALID.
"""

import subprocess
import sys
from pathlib import Path

import monitor
from monitor.contract.evidence import RunRecord
from monitor.contract.provenance import digest_tree
from monitor.contract.verdicts import ExitCode, RunVerdict, WsproofError
from reports.runs import Evidence
from reports.sources import AUDIT, is_from
from scripts.cli.app import DEFAULT_RUNS
from scripts.cli.report import evidence_folders

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


def missing(evidence: Evidence, code_sha256: str) -> tuple[str, ...]:
    """Return the sources of which no run of this code is there."""
    found = {
        source
        for run in evidence
        for source in COMMANDS
        if is_from(source, run.record) and _counts(run.record, code_sha256)
    }
    return tuple(source for source in COMMANDS if source not in found)


def _counts(record: RunRecord, code_sha256: str) -> bool:
    same = record.provenance.code_sha256 == code_sha256
    return same and record.verdict is not RunVerdict.INVALID


def main() -> int:
    """Make what is missing, one after the other; return the exit code."""
    try:
        evidence = Evidence(evidence_folders(DEFAULT_RUNS))
        wanted = missing(evidence, digest_tree(Path(monitor.__file__).parent))
    except WsproofError as error:
        print(f"chapter: {error}", file=sys.stderr)
        return error.exit_code
    for source in wanted:
        print(f"chapter: no run of {source} yet; making one", file=sys.stderr)
        done = subprocess.run([sys.executable, *COMMANDS[source]], stdout=sys.stderr, check=False)
        if done.returncode not in _MADE:
            return done.returncode
    return ExitCode.HOLDS


if __name__ == "__main__":
    sys.exit(main())
