"""Conducts one check on one server: a legitimate client before, the attack, the client again."""

import asyncio
import time
import traceback

import msgspec

from monitor.contract.findings import TranscriptLine
from monitor.contract.promises import Promises
from monitor.contract.verdicts import RefusedError, WsproofError
from securitytests.bench import Bench
from securitytests.check import Check
from securitytests.gate.conclude import Course
from securitytests.gate.stalls import Stalls, too_long
from securitytests.judging import CannotTellError, NotApplicableError
from securitytests.probe.client import NotServedError
from securitytests.probe.stream import NoSocketError, StreamEndedError, UnreachableError
from securitytests.probe.transcript import trying
from securitytests.server import Server

#: How long the legitimate client may take; generous, since it shares the machine with the attacks.
BRACKET_S = 10.0

#: A check that takes ten times its stated cost, four times the longest duration the service
#: promises, and this much on top, is cut off.
_GRACE_S = 30.0
_COSTS = 10
_DURATIONS = 4

#: A promise of months, which nobody waits for.
_NOT_WAITED_FOR = "max_token_lifetime_s"

#: How long a process that serves nobody any more is given to be seen ending.
_ENDING_S = 1.0

#: What lies with the service, where a client is not served.
_UNSERVED = (UnreachableError, StreamEndedError, NotServedError)

#: What lies with the audit or its profile: a budget, a token's command, this machine.
_OURS = (CannotTellError, NoSocketError, WsproofError)


class Conducted(msgspec.Struct, frozen=True):
    """One check that was conducted: its course, conversation, figures and duration."""

    course: Course
    transcript: tuple[TranscriptLine, ...]
    figures: dict[str, float]
    seconds: float


async def conduct(check: Check, server: Server) -> Conducted:
    """Run one check between its brackets. Only a refusal of the guard is raised."""
    started = time.monotonic()
    bench = Bench(server, check.id)
    stalls = Stalls()
    try:
        async with stalls.watched():
            course = await _between_brackets(check, bench)
    finally:
        await bench.close()
    unserved = course.before or course.after
    # A process that is ending has closed its sockets a moment before it is gone.
    gone = await asyncio.to_thread(server.launch.ended, _ENDING_S if unserved else 0.0)
    died = "the service ended during the check" if gone else ""
    stalled = too_long(stalls.longest_s, bench.promises.tolerance_s)
    course = msgspec.structs.replace(course, died=died, stalled=stalled)
    seconds = time.monotonic() - started
    return Conducted(course, bench.transcript.lines(), bench.figures, seconds)


async def _between_brackets(check: Check, bench: Bench) -> Course:
    """Return how the check went, but for whether the service outlived it.

    What keeps the client of the audit itself from being served afterwards is a problem of the
    audit, and no failure of the service.
    """
    try:
        before = await served(bench, "before")
    except _OURS as error:
        before = _told(bench, error)
    if before:
        return Course(before=before)
    inapplicable, problem = await _probe(check, bench)
    await bench.close()
    after = ""
    try:
        after = await served(bench, "after")
    except _OURS as error:
        problem = problem or f"no legitimate client after the check: {_told(bench, error)}"
    return Course(
        tuple(bench.observations),
        after=after,
        problem=problem,
        inapplicable=inapplicable,
        untried=tuple(bench.untried),
    )


async def _probe(check: Check, bench: Bench) -> tuple[str, str]:
    """Run the check itself; return why there was nothing to check, and what kept it from ending."""
    most_s = longest_s(check, bench.promises)
    try:
        async with asyncio.timeout(most_s):
            await check.probe(bench)
    except RefusedError:
        raise
    except NotApplicableError as error:
        return str(error), ""
    except TimeoutError as error:
        return "", str(error) or f"not done within {most_s:g} s"
    except (*_UNSERVED, *_OURS) as error:
        return "", str(error)
    except Exception as error:  # noqa: BLE001 - a defect of the check proves nothing either way
        where = traceback.extract_tb(error.__traceback__)[-1]
        return "", f"defect of the check: {error!r} in {where.name}, line {where.lineno}"
    return "", ""


def _told(bench: Bench, error: Exception) -> str:
    """Return the text of what lies with us; a refusal of the guard is raised instead."""
    if isinstance(error, RefusedError):
        raise error
    return bench.transcript.redact(str(error))


def longest_s(check: Check, promises: Promises) -> float:
    """Return after how many seconds a check is cut off; it may wait for whatever is promised."""
    durations = (
        value
        for name, value in msgspec.structs.asdict(promises).items()
        if name.endswith("_s")
        and not name.endswith("_per_s")
        and name != _NOT_WAITED_FOR
        and value is not None
    )
    return check.cost_s * _COSTS + max(durations, default=0.0) * _DURATIONS + _GRACE_S


async def served(bench: Bench, when: str) -> str:
    """Return why a legitimate publisher and subscriber are not served; empty if they are.

    Raises:
        CannotTellError, NoSocketError, WsproofError: the audit could not try, whatever the service.
    """
    try:
        with trying(f"legitimate client, {when}"):
            # A command may print the tokens, and what it takes is not the service's time.
            await bench.token("publish")
            await bench.token("subscribe")
            async with asyncio.timeout(BRACKET_S):
                pair = await bench.pair()
                await pair.measure(BRACKET_S)
                pair.publisher.peer.stream.close()
                pair.subscriber.peer.stream.close()
    except TimeoutError:
        return f"no service within {BRACKET_S:g} s"
    except _UNSERVED as error:
        return bench.transcript.redact(str(error))
    return ""
