"""What a check is: frozen data above one async function. And how checks are found: by looking.

A check is any `Check` in a module below `securitytests.catalogue`. There is no list of them.
"""

import difflib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

import msgspec

from monitor.contract.promises import VariantName
from monitor.contract.verdicts import NoVerdictError, Severity, UsageError

if TYPE_CHECKING:
    from securitytests.bench import Bench

Probe = Callable[["Bench"], Awaitable[None]]
Tier = Literal["gentle", "destructive"]

_ID = re.compile(r"[A-Z]{2}[0-9]{1,2}")
#: A category by itself, or as the beginning of a range.
_A_CATEGORY = re.compile(r"[A-Za-z]{2}([0-9]*-.*)?")

_REFERENCE = re.compile(r"ASVS-[0-9]+\.[0-9]+\.[0-9]+|CWE-[0-9]+|RFC[0-9]+(-[0-9]+(\.[0-9]+)*)?")


class Claim(StrEnum):
    """The five sentences the checks carry; a check of none of them is a baseline."""

    UNAUTHORIZED = "unauthorized-rejected"
    REVALIDATION = "validated-on-every-message"
    DENIAL_OF_SERVICE = "rate-limiting-holds"
    NO_LEAKS = "nothing-sensitive-in-events"
    IDLE = "idle-connections-close"

    @property
    def sentence(self) -> str:
        """What is claimed."""
        return _SENTENCES[self]

    @property
    def metric(self) -> str:
        """The name as it stands in metrics: `idle_connections_close`."""
        return self.value.replace("-", "_")


_SENTENCES = {
    Claim.UNAUTHORIZED: "Unauthorized connections are rejected.",
    Claim.REVALIDATION: "The token is validated on every message.",
    Claim.DENIAL_OF_SERVICE: "Rate limiting prevents denial of service.",
    Claim.NO_LEAKS: "There is no sensitive data in events.",
    Claim.IDLE: "Idle connections time out.",
}


class Check(msgspec.Struct, frozen=True):
    """One check.

    `cost_s` is about how long it takes against the reference monitor with shortened durations.
    Of `tier` "destructive" is what may disturb others who use the service: floods, exhausted
    limits, oversized input, rights taken away, text meant for their screens. `server` "own" gives
    it a service nobody else speaks with, `variant` that variant of the profile (then always its
    own); where the profile has none there is nothing to check, unless `or_as_it_is`: then the
    service is taken as it is. `alone` lets nothing else run meanwhile: for checks that measure time
    or memory, or need the whole machine. Of a check that is not `gating` a finding is reported, and
    fails no audit. `why` is the docstring of the function.
    """

    id: str
    title: str
    claim: Claim | None
    severity: Severity
    references: tuple[str, ...]
    remediation: str
    cost_s: float
    probe: Probe
    why: str
    tier: Tier
    server: Literal["shared", "own"] = "shared"
    variant: VariantName | None = None
    or_as_it_is: bool = False
    alone: bool = False
    gating: bool = True

    @property
    def category(self) -> str:
        """The letters of the id."""
        return self.id.rstrip("0123456789")

    @property
    def order(self) -> tuple[str, int]:
        """Sorts HS2 before HS10."""
        return self.category, int(self.id[len(self.category) :])


def check(
    *,
    id: str,  # noqa: A002 - the field's own word
    title: str,
    claim: Claim | None,
    severity: Severity,
    references: tuple[str, ...],
    remediation: str,
    cost_s: float,
    tier: Tier,
    server: Literal["shared", "own"] = "shared",
    variant: VariantName | None = None,
    or_as_it_is: bool = False,
    alone: bool = False,
    gating: bool = True,
) -> Callable[[Probe], Check]:
    """Make the function below a check; see `Check` for the meaning of each part.

    Raises:
        ValueError: the id or a reference has another shape, or the docstring is missing.
    """
    if not _ID.fullmatch(id):
        raise ValueError(f"check {id!r}: expected two capitals and a number, such as HS1")
    for reference in references:
        if not _REFERENCE.fullmatch(reference):
            raise ValueError(
                f"check {id}: reference {reference!r}: expected ASVS-4.4.2, CWE-306 or RFC6455-5.1"
            )

    def decorate(probe: Probe) -> Check:
        why = inspect.getdoc(probe)
        if not why:
            raise ValueError(
                f"check {id}: say in the docstring why it matters and how it is judged"
            )
        return Check(
            id=id,
            title=title,
            claim=claim,
            severity=severity,
            references=references,
            remediation=remediation,
            cost_s=cost_s,
            probe=probe,
            why=why,
            tier=tier,
            server="own" if variant else server,
            variant=variant,
            or_as_it_is=or_as_it_is,
            alone=alone,
            gating=gating,
        )

    return decorate


def discover() -> tuple[Check, ...]:
    """Return every check of the catalogue, ordered by id.

    Raises:
        ValueError: an id stands twice.
    """
    package = importlib.import_module("securitytests.catalogue")
    found: dict[str, Check] = {}
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        for item in vars(importlib.import_module(module.name)).values():
            if not isinstance(item, Check):
                continue
            if found.setdefault(item.id, item) is not item:
                raise ValueError(f"check {item.id} stands twice; the second in {module.name}")
    return tuple(sorted(found.values(), key=lambda one: one.order))


def patterns_of(only: str) -> list[str]:
    """Return the globs of a selection, divided by commas; one that matches nothing if it has none.

    What selects nothing is a mistake to be told, not a wish for all or for none.
    """
    return [pattern.strip() for pattern in only.split(",") if pattern.strip()] or [""]


def select(checks: tuple[Check, ...], only: str | None) -> tuple[Check, ...]:
    """Return the checks whose id matches one of the globs in `only`, divided by commas.

    Raises:
        NoVerdictError: one of them matches none, or there is none: what was to be tried would not
            be.
    """
    if only is None:
        return checks
    chosen: set[str] = set()
    for pattern in patterns_of(only):
        matching = {one.id for one in checks if fnmatchcase(one.id, pattern.upper())}
        if not matching:
            raise NoVerdictError(
                f"audit: --only: none of {len(checks)} checks matches {pattern!r};"
                f" {nearest(pattern, checks)}"
            )
        chosen |= matching
    return tuple(one for one in checks if one.id in chosen)


def find(id: str) -> Check:  # noqa: A002 - the field's own word
    """Return the check of this id.

    Raises:
        UsageError: there is none; suggests the closest.
    """
    checks = discover()
    for one in checks:
        if one.id == id.upper():
            return one
    raise UsageError(f"check {id!r}: unknown; {nearest(id, checks)}")


def nearest(given: str, checks: Sequence[Check]) -> str:
    """Say which check or category may be meant, or which categories there are."""
    categories = sorted({one.category for one in checks})
    if _A_CATEGORY.fullmatch(given) and given[:2].upper() in categories:
        return f"did you mean {given[:2].upper()}*?"
    close = difflib.get_close_matches(given.upper(), [one.id for one in checks], n=1)
    if close:
        return f"did you mean {close[0]}?"
    each = ", ".join(f"{category}*" for category in categories)
    return f"expected an id such as {checks[0].id}, or one of {each}"


def reference_url(reference: str) -> str | None:
    """Return where a reference can be read; None where it has no page of its own."""
    kind, _, number = reference.partition("-")
    if kind == "CWE":
        return f"https://cwe.mitre.org/data/definitions/{number}.html"
    if kind.startswith("RFC"):
        section = f"#section-{number}" if number else ""
        return f"https://www.rfc-editor.org/rfc/{kind.lower()}{section}"
    return None
