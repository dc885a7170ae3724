"""The load scenarios: one class in one file each, found by looking.

A scenario is a subclass of `Scenario` in a module of this package. To add one, add a file.
"""

import difflib
import importlib
import pkgutil
import re
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from loadtests.results import RepeatResult
from loadtests.sampler import Sample
from loadtests.schedule.course import Point, steady
from monitor.contract.claims import Claim
from monitor.contract.evidence import Metric
from monitor.contract.target import Target
from monitor.contract.verdicts import NoVerdictError, UsageError

TRACES = Path(__file__).resolve().parent.parent / "traces"

#: Figures of one repeat by name: value and unit.
Values = dict[str, tuple[float, str]]


class NotApplicableError(NoVerdictError):
    """The target does not promise what a scenario needs."""


class Asked(msgspec.Struct, frozen=True):
    """What a run was asked for: the scenario's defaults with the command line's changes."""

    target: Target
    clients: int
    rate: float
    warmup_s: float
    window_s: float
    repeats: int
    objectives: tuple[Claim, ...] = ()


class Seen(msgspec.Struct, frozen=True):
    """One repeat as it was, with every sample of the run."""

    asked: Asked
    result: RepeatResult
    samples: Sequence[Sample]


class Outcome(msgspec.Struct, frozen=True):
    """How a repeat went, for a scenario that goes by it: objectives kept, figures believed."""

    kept: bool
    believed: bool


Steps = Generator[Point, Outcome, None]


class Scenario:
    """What is offered to a target, unless the command line says otherwise.

    The docstring of a subclass is its description, the first line what it proves; its class name,
    in lower case with hyphens, its name.
    """

    #: Subscribers, one connection each.
    clients: ClassVar[int]
    #: Events a second, on an open schedule.
    rate: ClassVar[float]
    #: How many pipelines replay the trace side by side; together they make up the rate.
    pipelines: ClassVar[int] = 16
    #: Delivered and not measured: connections, caches and interpreters get warm, in seconds.
    warmup_s: ClassVar[float] = 2.0
    #: The measured window, in seconds.
    window_s: ClassVar[float] = 10.0
    #: Five span an interval worth printing. A scenario that makes do with fewer says why in `once`.
    repeats: ClassVar[int] = 5
    #: Why one repeat is what it is, and what its interval is then; empty where repeats are samples.
    once: ClassVar[str] = ""
    trace: ClassVar[Path] = TRACES / "pipeline.jsonl"
    #: Keys of the target profile without which there is nothing to measure.
    needs: ClassVar[tuple[str, ...]] = ()
    #: What it proves, as objectives of its own; those of flags or profile come on top.
    proves: ClassVar[tuple[str, ...]] = ()
    #: The figures that only this scenario has, of `figures` and of `conclude`: each name says what
    #: it counts or ends with its unit. An objective can speak of these and of those every run has.
    measures: ClassVar[tuple[str, ...]] = ()
    #: It looks for the load at which the claims, on whatever scenario, cease to hold.
    seeks: ClassVar[bool] = False

    @classmethod
    def name(cls) -> str:
        """`ConnectStorm` is `connect-storm`."""
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", cls.__name__).lower()

    @classmethod
    def title(cls) -> str:
        """First line of the description."""
        return (cls.__doc__ or "").strip().splitlines()[0]

    @classmethod
    def point(cls, asked: Asked) -> Point:
        """Return what one repeat offers."""
        return steady(asked.clients, asked.rate, asked.warmup_s, asked.window_s)

    @classmethod
    def steps(cls, asked: Asked) -> Steps:
        """Yield what each repeat offers; be sent how it went."""
        for _ in range(asked.repeats):
            yield cls.point(asked)

    @classmethod
    def points(cls, asked: Asked) -> tuple[Point, ...]:
        """Return what the run repeats, each point once; of a search, what it starts with."""
        steps = cls.steps(msgspec.structs.replace(asked, repeats=1))
        return (next(steps),) if cls.seeks else tuple(steps)

    @classmethod
    def attempts(cls, asked: Asked) -> tuple[int, int] | None:  # noqa: ARG003 - for subclasses
        """About how many attempts a search takes, least and most; None of all others."""
        return None

    @classmethod
    def figures(cls, seen: Seen) -> Values:  # noqa: ARG003 - for subclasses
        """Return the figures of one repeat that only this scenario has."""
        return {}

    @classmethod
    def conclude(
        cls,
        asked: Asked,  # noqa: ARG003 - for subclasses
        results: Sequence[RepeatResult],  # noqa: ARG003
    ) -> dict[str, Metric]:
        """Return the figures of the run as a whole that only this scenario has."""
        return {}

    @classmethod
    def doubts(
        cls,
        asked: Asked,  # noqa: ARG003 - for subclasses
        results: Sequence[RepeatResult],  # noqa: ARG003
    ) -> tuple[str, ...]:
        """Say what this scenario has against its own figures; the run is then SUSPECT."""
        return ()

    @classmethod
    def lacks(cls, target: Target) -> str | None:
        """Return the key of the profile that is missing, or None if the scenario applies."""
        return next((key for key in cls.needs if not _found(target, key)), None)

    @classmethod
    def check(cls, target: Target) -> None:
        """See that the target promises what this scenario needs.

        Raises:
            NotApplicableError: it does not; names the key.
        """
        key = cls.lacks(target)
        if key is not None:
            raise NotApplicableError(
                f"NOT_APPLICABLE: scenario {cls.name()} needs `{key}`, which target profile"
                f" {target.path} does not give; docs/targets.md says what it means"
            )


def _found(target: Target, key: str) -> bool:
    value: Any = target
    for word in key.split("."):
        value = value.get(word) if isinstance(value, dict) else getattr(value, word)
        if value is None or value in ((), {}):
            return False
    return True


def discover() -> dict[str, type[Scenario]]:
    """Return every scenario by name, in name order."""
    return dict(sorted((one.name(), one) for one in _classes()))


def _classes() -> Iterator[type[Scenario]]:
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        for item in vars(loaded).values():
            if isinstance(item, type) and issubclass(item, Scenario) and item is not Scenario:
                yield item


def find(name: str) -> type[Scenario]:
    """Return the scenario of this name.

    Raises:
        UsageError: there is none; suggests the closest.
    """
    scenarios = discover()
    if name in scenarios:
        return scenarios[name]
    close = difflib.get_close_matches(name.lower(), scenarios, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(scenarios)};"
    raise UsageError(f"scenario {name!r}: unknown; {hint} `wsproof load --list` describes them")
