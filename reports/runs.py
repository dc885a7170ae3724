"""Finds the run someone means: by folder, by id, or the newest."""

import difflib
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Self

from monitor.contract.evidence import Run, RunRecord, list_runs, load_run
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


class Evidence:
    """All runs under some folders, newest first, each read and verified when it is reached.

    `used` has the runs that were handed out, in that order: what a text rests on. With
    `only`, no other run is seen: the text is made again from what it rested on.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        only: Collection[str] | None = None,
        read: dict[Path, Run] | None = None,
    ) -> None:
        found = {path.name: path for root in roots for path in list_runs(root)}
        self._roots = tuple(roots)
        self._paths = [
            found[name] for name in sorted(found, reverse=True) if only is None or name in only
        ]
        self._missing = sorted(set(only or ()) - found.keys())
        self._read: dict[Path, Run] = {} if read is None else read
        self.used: dict[str, Run] = {}

    def view(self, only: Collection[str] | None = None) -> "Evidence":
        """Return the same evidence (or some runs of it), with nothing used yet; read once."""
        return Evidence(self._roots, only, self._read)

    def newest(self, suits: Callable[[RunRecord], bool]) -> Run | None:
        """Return the newest run that `suits`, or None.

        Raises:
            NoVerdictError: a run on the way cannot be believed; it is not passed over, since
                an older one might say something else.
        """
        for run in self:
            if suits(run.record):
                return self.used.setdefault(run.record.id, run)
        return None

    def __iter__(self) -> Iterator[Run]:
        """Yield every run, newest first."""
        for path in self._paths:
            if path not in self._read:
                self._read[path] = load_run(path)
            yield self._read[path]

    def __bool__(self) -> bool:
        """Tell whether there is any run."""
        return bool(self._paths)

    def require(self) -> Self:
        """Return itself if every run of `only` is there.

        Raises:
            NoVerdictError: names what is missing and where it was looked for.
        """
        if self._missing:
            where = " or ".join(map(str, self._roots))
            raise NoVerdictError(
                f"run {self._missing[0]}: no such run under {where}; refresh the document from"
                " newer evidence, or bring that run back"
            )
        return self
