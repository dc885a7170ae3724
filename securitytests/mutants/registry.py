"""What a mutant is, and how mutants are found: by looking through the modules beside this one."""

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable

import msgspec

from monitor.contract.verdicts import UsageError
from securitytests.check import Claim
from securitytests.mutants.patch import Patch

Apply = Callable[[Patch], None]


class Mutant(msgspec.Struct, frozen=True):
    """One seeded flaw.

    Every check of `caught_by` must FAIL on it, those of `may` are allowed to, all others must
    conclude as without it. `flaw` is the docstring: what is wrong, in one sentence.
    """

    name: str
    flaw: str
    claim: Claim | None
    caught_by: tuple[str, ...]
    may: tuple[str, ...]
    apply: Apply


def mutant(
    *, claim: Claim | None, caught_by: tuple[str, ...], may: tuple[str, ...] = ()
) -> Callable[[Apply], Mutant]:
    """Make the function below a mutant; `may` takes globs, such as `RL*`.

    Raises:
        ValueError: no check is named, or the docstring is missing.
    """
    if not caught_by:
        raise ValueError("a mutant names at least one check that must catch it")

    def decorate(apply: Apply) -> Mutant:
        flaw = inspect.getdoc(apply)
        if not flaw:
            raise ValueError(f"mutant {apply.__name__}: say in the docstring what is wrong with it")
        return Mutant(apply.__name__, flaw, claim, caught_by, may, apply)

    return decorate


def discover() -> dict[str, Mutant]:
    """Return every mutant by name, in name order.

    Raises:
        ValueError: a name stands twice.
    """
    package = importlib.import_module("securitytests.mutants")
    found: dict[str, Mutant] = {}
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name.endswith("__main__"):
            continue
        for item in vars(importlib.import_module(module.name)).values():
            if isinstance(item, Mutant) and found.setdefault(item.name, item) is not item:
                raise ValueError(f"mutant {item.name} stands twice; the second in {module.name}")
    return dict(sorted(found.items()))


def find(name: str) -> Mutant:
    """Return the mutant of this name.

    Raises:
        UsageError: there is none; suggests the closest.
    """
    mutants = discover()
    if name in mutants:
        return mutants[name]
    close = difflib.get_close_matches(name, mutants, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "`wsproof audit --mutants --list` shows them"
    raise UsageError(f"mutant {name!r}: unknown; {hint}")
