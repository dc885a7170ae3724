"""Which checks of today's gate carry a claim, spelled out for those who judge it from evidence.

A claim names checks by a pattern, or by what the checks say they carry. The evidence of an audit
holds the checks there were then: only today's ids tell that it was made by an older, smaller gate.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

import msgspec

from monitor.contract.claims import Claim
from securitytests.check import Check, discover


def spelled_out(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """Return the claims, each with the id of every check that carries it beside what it names."""
    every = discover()
    return tuple(_spelled_out(claim, every) for claim in claims)


def _spelled_out(claim: Claim, every: Iterable[Check]) -> Claim:
    ids = [check.id for check in every if _carries(check, claim)]
    return msgspec.structs.replace(claim, checks=tuple(dict.fromkeys((*claim.checks, *ids))))


def _carries(check: Check, claim: Claim) -> bool:
    names = (check.id, check.claim or "")
    return any(fnmatchcase(name, pattern) for pattern in claim.checks for name in names)
