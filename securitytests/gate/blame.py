"""Which check answers for the end of a service that several shared. Pure.

One that was alone with it does. Several are conducted again, each on a server of its own: those
that end it again do, and if none does, all of them, so that no retry acquits everybody.
"""

from collections.abc import Sequence

import msgspec

from monitor.contract.findings import Observation
from monitor.contract.verdicts import Verdict
from securitytests.check import Check
from securitytests.gate.conduct import Conducted

#: A check, and how it went.
Tried = tuple[Check, Conducted]


def ended_it(conducted: Conducted) -> bool:
    """Tell whether a service served before the check and did not outlive it, or served no more."""
    course = conducted.course
    return not course.before and bool(course.died or course.after)


def all_of_them(suspects: Sequence[Tried]) -> list[Tried]:
    """Have every suspect answer for the end of the service."""
    names = ", ".join(sorted(check.id for check, _ in suspects))
    died = (
        "the service ended during the check, or right after it"
        if len(suspects) == 1
        else f"the service ended while {names} were under way"
    )
    return [(check, _with(one, died=died)) for check, one in suspects]


def those_that_did(suspects: Sequence[Tried], again: Sequence[Conducted]) -> list[Tried]:
    """Have those answer that ended the service `again`, when each had it for itself.

    What the others saw fail in company may be the end of the service or a finding of its own: it
    is kept, as what could not be decided.
    """
    return [
        (check, anew if ended_it(anew) else _with(anew, observations=_both(first, anew)))
        for (check, first), anew in zip(suspects, again, strict=True)
    ]


def _both(first: Conducted, anew: Conducted) -> tuple[Observation, ...]:
    doubtful = tuple(
        msgspec.structs.replace(
            one,
            verdict=Verdict.INCONCLUSIVE,
            actual=f"{one.actual}; not again by itself, the service was ending meanwhile",
        )
        for one in first.course.observations
        if one.verdict is Verdict.FAIL
    )
    return (*doubtful, *anew.course.observations)


def _with(conducted: Conducted, **changes: object) -> Conducted:
    course = msgspec.structs.replace(conducted.course, **changes)
    return msgspec.structs.replace(conducted, course=course)
