"""The load scenarios: one class in one file each, found by looking.

A scenario is a subclass of `Scenario` in a module of this package. To add one, add a file.
"""

import difflib
import importlib
import pkgutil
from pathlib import Path
from typing import ClassVar

from monitor.contract.verdicts import UsageError

TRACES = Path(__file__).resolve().parent.parent / "traces"


class Scenario:
    """What is offered to a target, unless the command line says otherwise.

    The docstring of a subclass is its description; its class name, in lower case, its name.
    """

    #: Subscribers, one connection each.
    clients: ClassVar[int]
    #: Events a second, on an open schedule.
    rate: ClassVar[float]
    #: How many pipelines replay the trace side by side; together they make up the rate.
    pipelines: ClassVar[int] = 1
    #: Delivered and not measured: connections, caches and interpreters get warm, in seconds.
    warmup_s: ClassVar[float] = 2.0
    #: The measured window, in seconds.
    window_s: ClassVar[float] = 10.0
    repeats: ClassVar[int] = 5
    trace: ClassVar[Path] = TRACES / "pipeline.jsonl"

    @classmethod
    def title(cls) -> str:
        """First line of the description."""
        return (cls.__doc__ or "").strip().splitlines()[0]


def discover() -> dict[str, type[Scenario]]:
    """Return every scenario by name, in name order."""
    found: dict[str, type[Scenario]] = {}
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        for item in vars(loaded).values():
            if isinstance(item, type) and issubclass(item, Scenario) and item is not Scenario:
                found[item.__name__.lower()] = item
    return dict(sorted(found.items()))


def find(name: str) -> type[Scenario]:
    """Return the scenario of this name.

    Raises:
        UsageError: there is none; suggests the closest.
    """
    scenarios = discover()
    if name in scenarios:
        return scenarios[name]
    close = difflib.get_close_matches(name, scenarios, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(scenarios)};"
    raise UsageError(f"scenario {name!r}: unknown; {hint} `wsproof load --list` describes them")
