"""Puts a run where a repository keeps it: whole, verified, under its own id."""

import shutil
from pathlib import Path

from monitor.contract.evidence import load_run
from monitor.contract.verdicts import UsageError


def keep(run: Path, kept: Path) -> Path:
    """Copy a run into the folder `kept` and return its place there; again is no harm.

    Raises:
        NoVerdictError: the run cannot be believed, so it is not kept.
        UsageError: another run of that id is kept already, or the folder cannot be written.
    """
    record = load_run(run).record
    place = kept / record.id
    if place.exists():
        if load_run(place).record != record:
            raise UsageError(f"{place}: another run of that id is kept already; remove one")
        return place
    partial = kept / f".{record.id}.partial"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        kept.mkdir(parents=True, exist_ok=True)
        shutil.copytree(run, partial)
        load_run(partial)
        partial.rename(place)
    except OSError as error:
        raise UsageError(f"{kept}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return place
