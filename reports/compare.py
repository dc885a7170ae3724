"""What changed between two runs: only what the repeats can tell from noise.

A change is named if the 95 % interval of the difference of medians over repeats excludes zero and
the difference is larger than the noise floor: how far repeats of one run lie from their median, or
how far the null server's own figure moved between the runs, whichever is more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec
import numpy as np

from monitor.contract.evidence import Metric, RunRecord
from monitor.contract.verdicts import ExitCode, NoVerdictError, RunVerdict
from reports.exhibits import Table
from reports.series import Floats
from reports.wording import quantity

#: Fewer repeats span no interval worth its name.
LEAST_REPEATS = 3

_RESAMPLES = 5000
_SEED = 1

#: Metrics of which less is better; of these, more is.
_LESS = ("response_", "service_", "target_rss_", "target_cpu_", "deliveries_lost")
_MORE = ("events_per_s", "deliveries_per_s", "clients_held", "capacity_")

#: What may differ between two runs that are compared.
_INCIDENTAL = ("repeats", "repeats_done")


class Change(StrEnum):
    """What became of one figure."""

    BETTER = "better"
    WORSE = "WORSE"
    SAME = "no change seen"


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure in both runs: medians, difference (second less first), interval and noise floor.

    All in the metric's unit.
    """

    name: str
    unit: str
    first: float
    second: float
    interval: tuple[float, float]
    noise: float
    change: Change

    @property
    def effect(self) -> float:
        """Second less first."""
        return self.second - self.first


def compare(first: RunRecord, second: RunRecord) -> tuple[Difference, ...]:
    """Compare every figure that both runs have of each repeat and that has a better side.

    Raises:
        NoVerdictError: one run is INVALID, they are of different machines, targets or parameters,
            or there are too few repeats.
    """
    _comparable(first, second)
    return tuple(_differences(first, second))


def conclude(found: Sequence[Difference]) -> ExitCode:
    """Return what the command ends with: a regression is found, or none."""
    worse = any(one.change is Change.WORSE for one in found)
    return ExitCode.BROKEN if worse else ExitCode.HOLDS


def differences_json(found: Sequence[Difference]) -> str:
    """Return one JSON array, an object a figure, in the order of the names."""
    rows = [
        {**msgspec.to_builtins(one), "effect": one.effect}
        for one in sorted(found, key=lambda one: one.name)
    ]
    return msgspec.json.format(msgspec.json.encode(rows), indent=2).decode()


def differences_table(found: Sequence[Difference]) -> Table:
    """Return the differences for reading, changes first."""
    ordered = sorted(found, key=lambda one: (one.change is Change.SAME, one.name))
    rows = tuple(
        (
            f"`{one.name}`",
            quantity(one.first, one.unit),
            quantity(one.second, one.unit),
            _signed(one.effect, one.unit),
            f"{_signed(one.interval[0], one.unit)} to {_signed(one.interval[1], one.unit)}",
            quantity(one.noise, one.unit),
            one.change.value if one.change is Change.SAME else f"**{one.change}**",
        )
        for one in ordered
    )
    header = ("Figure", "First", "Second", "Difference", "95 % interval", "Noise", "")
    return Table(header, rows, frozenset(range(1, 6)))


def _comparable(first: RunRecord, second: RunRecord) -> None:
    for record in (first, second):
        if not record.repeats:
            raise NoVerdictError(
                f"run {record.id} is of {record.scenario} and repeated nothing; compare runs of"
                " `wsproof load`"
            )
        if record.verdict is RunVerdict.INVALID:
            raise NoVerdictError(f"run {record.id} is INVALID; compare runs that are not")
    one, other = first.provenance, second.provenance
    facts = {
        "target": (first.target, second.target),
        "scenario": (first.scenario, second.scenario),
        "machine": (one.host, other.host),
        "CPU": (one.cpu_model, other.cpu_model),
        "number of CPUs": (one.cpu_count, other.cpu_count),
        "memory": (one.memory_bytes, other.memory_bytes),
        "kernel": (one.kernel, other.kernel),
        "Python": (one.python, other.python),
    }
    for name in sorted(first.parameters.keys() | second.parameters.keys()):
        if name not in _INCIDENTAL and not name.startswith("repeat_"):
            facts[f"parameter {name}"] = (first.parameters.get(name), second.parameters.get(name))
    different = [f"{name} ({a} and {b})" for name, (a, b) in facts.items() if a != b]
    if different:
        raise NoVerdictError(
            f"runs {first.id} and {second.id} cannot be compared: they differ in"
            f" {', '.join(different)}; measure both the same way"
        )


def _differences(first: RunRecord, second: RunRecord) -> Iterator[Difference]:
    names = [name for name in first.metrics if name.startswith((*_LESS, *_MORE))]
    paired = [
        (name, first.metrics[name], second.metrics[name])
        for name in names
        if name in second.metrics
        and min(len(first.metrics[name].repeats), len(second.metrics[name].repeats)) > 0
    ]
    fewest = min((min(len(a.repeats), len(b.repeats)) for _, a, b in paired), default=0)
    if fewest < LEAST_REPEATS:
        raise NoVerdictError(
            f"runs {first.id} and {second.id}: {fewest} repeats, at least {LEAST_REPEATS} are"
            " needed to tell a change from noise; measure with --repeats 5"
        )
    for name, one, other in paired:
        yield _difference(name, one, other, _null_shift(name, first, second))


def _difference(name: str, one: Metric, other: Metric, null_shift: float) -> Difference:
    first, second = np.array(one.repeats), np.array(other.repeats)
    interval = _interval(first, second)
    noise = max(_spread(first), _spread(second), null_shift)
    effect = float(np.median(second) - np.median(first))
    change = Change.SAME
    if abs(effect) > noise and not interval[0] <= 0 <= interval[1]:
        less = name.startswith(_LESS)
        change = Change.BETTER if (effect < 0) == less else Change.WORSE
    return Difference(
        name, one.unit, float(np.median(first)), float(np.median(second)), interval, noise, change
    )


def _interval(first: Floats, second: Floats) -> tuple[float, float]:
    """Bootstrap percentile interval of the difference of medians, repeats resampled."""
    random = np.random.default_rng(_SEED)
    a = np.median(random.choice(first, (_RESAMPLES, first.size)), axis=1)
    b = np.median(random.choice(second, (_RESAMPLES, second.size)), axis=1)
    low, high = np.percentile(b - a, [2.5, 97.5])
    return float(low), float(high)


def _spread(values: Floats) -> float:
    """Return the median distance of repeats from their median."""
    return float(np.median(np.abs(values - np.median(values))))


def _null_shift(name: str, first: RunRecord, second: RunRecord) -> float:
    a, b = first.metrics.get(f"null_{name}"), second.metrics.get(f"null_{name}")
    return abs(a.value - b.value) if a and b else 0.0


def _signed(value: float, unit: str) -> str:
    return ("+" if value > 0 else "−" if value < 0 else "") + quantity(abs(value), unit)
