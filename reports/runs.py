"""Finds the run someone means: by folder, by id, or the newest."""

import difflib
from collections.abc import Iterator
from pathlib import Path

from monitor.contract.evidence import Run, list_runs, load_run
from monitor.contract.verdicts import NoVerdictError, UsageError


def find_run(name: str | None, root: Path) -> Path:
    """Return the run folder called `name` (an id under `root`, or a path), or the newest.

    Raises:
        NoVerdictError: there is no run yet.
        UsageError: there are runs, but none is called that; names the closest.
    """
    if name is not None and Path(name).is_dir():
        return Path(name)
    known = list_runs(root)
    if not known:
        raise NoVerdictError(
            f"runs folder {root}: no runs yet; measure first, for example with"
            " `wsproof load chapter`, or pass --runs DIR"
        )
    if name is None:
        return known[-1]
    ids = [path.name for path in known]
    if name in ids:
        return root / name
    close = difflib.get_close_matches(name, ids, n=1, cutoff=0.4)
    raise UsageError(
        f"run {name!r}: no such run under {root}; did you mean {(close or ids[-1:])[0]}?"
    )


def newest_first(root: Path) -> Iterator[Run]:
    """Yield the runs under `root`, newest first, each verified when it is reached.

    Raises:
        NoVerdictError: there is no run yet, or one cannot be believed.
    """
    newest = find_run(None, root)
    yield load_run(newest)
    yield from (load_run(path) for path in reversed(list_runs(root)) if path != newest)
