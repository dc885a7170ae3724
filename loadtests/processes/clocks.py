"""How far another host's monotonic clock is from ours, and how far wrong that may be. Pure.

Four timestamps a probe, as NTP takes them (RFC 5905 section 8): asked and returned by our clock,
heard and answered by theirs. A message takes no negative time, so every probe bounds the offset
from both sides; the tightest bounds of many probes are kept, which is what a minimum-delay filter
does, each way by itself.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from monitor.contract.verdicts import NoVerdictError

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_TIME_NAMESPACE = Path("/proc/self/ns/time")


class Probe(NamedTuple):
    """One question and its answer, in ns: ours, theirs, theirs, ours."""

    asked: int
    heard: int
    answered: int
    returned: int


class Offset(msgspec.Struct, frozen=True):
    """Their clock minus ours, in ns, and how far from the truth it can be at most."""

    offset_ns: int = 0
    bound_ns: int = 0


def estimate(probes: Sequence[Probe]) -> Offset:
    """Return the offset in the middle of what all probes allow.

    Raises:
        NoVerdictError: no probe was answered, or no offset fits all: a clock jumped meanwhile.
    """
    if not probes:
        raise NoVerdictError("clocks: a worker answered no probe; look at its log and its network")
    least = max(probe.answered - probe.returned for probe in probes)
    most = min(probe.heard - probe.asked for probe in probes)
    if least > most:
        raise NoVerdictError(
            f"clocks: no offset fits all {len(probes)} probes of a worker (by {least - most} ns):"
            " its clock or ours jumped meanwhile; run again"
        )
    return Offset((least + most) // 2, (most - least + 1) // 2)


def over_time(before: Offset, after: Offset) -> Offset:
    """Return the offset used from the beginning on, with a bound that holds until the end.

    Clocks drift steadily: at no time between was the offset farther off than it is at the end.
    """
    drift_ns = abs(after.offset_ns - before.offset_ns)
    return Offset(before.offset_ns, max(before.bound_ns, after.bound_ns + drift_ns))


def clock_of_this_process() -> str:
    """Return what identifies the monotonic clock we read: same text, same clock.

    On Linux a boot of one machine, seen from one time namespace; elsewhere the process says that
    it shares its clock with nobody.
    """
    if sys.platform != "linux":
        return f"process {os.getpid()}"
    return f"{_BOOT.read_text(encoding='ascii').strip()} {_TIME_NAMESPACE.readlink()}"
