"""Puts a run where a repository keeps it: verified, under its own id.

Of an audit the conversations of checks that passed are left out: they are most of its bytes, and
nothing is concluded from them. The copy says what it lacks, and the checksum of the whole.
"""

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec

from monitor.contract.evidence import TRANSCRIPTS, LeftOut, Run, RunWriter, load_run
from monitor.contract.verdicts import UsageError, Verdict
from reports.checks import findings

#: Verdicts on which no conversation throws light.
_UNREMARKABLE = frozenset({Verdict.PASS, Verdict.NOT_APPLICABLE, Verdict.NOT_RUN})


def keep(run: Path, kept: Path) -> Path:
    """Copy a run into the folder `kept` and return its place there; again is no harm.

    Raises:
        NoVerdictError: the run cannot be believed, so it is not kept.
        UsageError: another run of that id is kept already, or the folder cannot be written.
    """
    found = load_run(run)
    record = found.record
    place = kept / record.id
    if place.exists():
        if load_run(place).record.whole != record.whole:
            raise UsageError(f"{place}: another run of that id is kept already; remove one")
        return place
    partial = kept / f".{record.id}.partial"
    shutil.rmtree(partial, ignore_errors=True)  # cut short by a kill
    quiet = {one.id for one in findings(found) if one.verdict in _UNREMARKABLE}
    lacking = sum(line["check"] in quiet for line in _transcripts(found)) if quiet else 0
    try:
        kept.mkdir(parents=True, exist_ok=True)
        if lacking:
            return _without(found, quiet, lacking, kept)
        shutil.copytree(run, partial)
        load_run(partial)
        partial.rename(place)
    except OSError as error:
        raise UsageError(f"{kept}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return place


def _without(run: Run, quiet: Collection[str], lacking: int, kept: Path) -> Path:
    """Copy a run without the `lacking` lines of the conversations of these checks."""
    record = run.record
    left_out = LeftOut(
        lines=lacking,
        what="conversations of checks that passed, did not apply or were not run",
        sha256=record.files[TRANSCRIPTS],
    )
    with RunWriter(kept, record.id) as writer:
        for name in record.files:
            if name != TRANSCRIPTS:
                writer.copy(run.path / name)
        told = (line for line in _transcripts(run) if line["check"] not in quiet)
        writer.write_lines(TRANSCRIPTS, told)
        return writer.finish(msgspec.structs.replace(record, left_out={TRANSCRIPTS: left_out}))


def _transcripts(run: Run) -> Iterator[Any]:
    return run.lines(TRANSCRIPTS) if TRANSCRIPTS in run.record.files else iter(())
