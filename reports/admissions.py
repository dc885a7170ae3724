"""Who asked to be let in, when, and what the answer was: `admissions.csv` as arrays."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from monitor.contract.evidence import Run
from monitor.contract.tables import ADMISSIONS
from reports.series import Floats, Integers


@dataclass(frozen=True, slots=True)
class Attempts:
    """Attempts in the order of their answers; times in seconds, NaN where there was none."""

    repeat: Integers
    began_s: Floats
    at_s: Floats
    ended_s: Floats
    address: npt.NDArray[np.str_]
    who: npt.NDArray[np.str_]
    admitted: npt.NDArray[np.bool_]

    def of(self, *kinds: str) -> "Attempts":
        """Return the attempts of these kinds of asker (`client`, `return`, `knock`, `hold`)."""
        return self._picked(np.isin(self.who, kinds))

    def in_repeat(self, number: int) -> "Attempts":
        """Return the attempts of one repeat."""
        return self._picked(self.repeat == number)

    def by_address(self) -> Iterator[tuple[str, "Attempts"]]:
        """Yield each source address with its attempts."""
        for address in np.unique(self.address):
            yield str(address), self._picked(self.address == address)

    def _picked(self, chosen: npt.NDArray[np.bool_]) -> "Attempts":
        order = np.argsort(self.at_s[chosen], kind="stable")
        return Attempts(*(getattr(self, name)[chosen][order] for name in Attempts.__slots__))


def attempts(run: Run) -> Attempts | None:
    """Read every attempt that was answered; None where none is recorded."""
    at = {name: index for index, name in enumerate(ADMISSIONS.names)}
    rows = [row for row in run.rows(ADMISSIONS) if row[at["at_s"]] is not None]
    if not rows:
        return None

    def floats(name: str) -> Floats:
        index = at[name]
        return np.array([np.nan if row[index] is None else row[index] for row in rows], np.float64)

    return Attempts(
        repeat=np.array([row[at["repeat"]] for row in rows], np.int64),
        began_s=floats("began_s"),
        at_s=floats("at_s"),
        ended_s=floats("ended_s"),
        address=np.array([str(row[at["address"]]) for row in rows]),
        who=np.array([str(row[at["who"]]) for row in rows]),
        admitted=np.array([bool(row[at["admitted"]]) for row in rows]),
    )


def in_window(began_s: Floats, at_s: Floats, window_s: float) -> Integers:
    """Return, at each answer (ascending), how many certainly fell into the window that ends there.

    Seen from outside, the service decided between our asking and its answer: what counts was
    asked no earlier than a window before.
    """
    first = np.searchsorted(np.sort(began_s), at_s - window_s, side="right")
    return (np.arange(1, len(at_s) + 1) - first).astype(np.int64)
