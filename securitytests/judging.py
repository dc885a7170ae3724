"""Judges what a probe observed. Pure: observations and the profile's promises in, judgement out."""

import math
from collections.abc import Collection

import msgspec

from monitor.contract.promises import Answer, Promises
from monitor.contract.verdicts import Verdict
from securitytests.probe.peer import ENDS, Ending, Handshake
from securitytests.watch import Watched

#: How HTTP and WebSocket themselves refuse what they cannot read: malformed, too long, no UTF-8.
UNREADABLE = Answer(status=(400, 413, 414, 431), close=(1002, 1007, 1009))


#: The code that stands for an end without a close frame (RFC 6455 section 7.4.1).
NO_CLOSE_FRAME = 1006


class CannotTellError(Exception):
    """Nothing can be concluded: the profile does not say, or the attack could not be made."""


class NotApplicableError(Exception):
    """The profile shows that there is nothing to check, for a check that carries no claim."""


class Judgement(msgspec.Struct, frozen=True):
    """PASS, FAIL or INCONCLUSIVE, with what was expected and what came."""

    verdict: Verdict
    expected: str
    actual: str


class Attempt(msgspec.Struct, frozen=True):
    """One attempt to come in: the answer to the handshake and, after an upgrade, what followed.

    `accepted` tells whether the service showed that it took the credentials; `ending` is None if
    there was no upgrade.
    """

    method: str
    handshake: Handshake
    accepted: bool
    ending: Ending | None = None
    texts: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.ending is None:
            return str(self.handshake)
        taken = "took the credentials and " if self.accepted else ""
        return f"{self.handshake}, then {taken}{self.ending}"


def verdict_of(condition: bool, expected: str, actual: str) -> Judgement:
    """Return PASS if the condition holds, else FAIL."""
    return Judgement(Verdict.PASS if condition else Verdict.FAIL, expected, actual)


def spell(answer: Answer) -> str:
    """Return an answer as text: `HTTP 401 or close 4401`."""
    ways = [f"HTTP {status}" for status in answer.status]
    ways += [f"close {code}" for code in answer.close]
    if answer.error and not answer.close:
        ways.append(f"a message with {answer.error}")
    return " or ".join(ways)


def either(*answers: Answer) -> Answer:
    """Return an answer that is any of these."""
    return Answer(
        status=tuple(dict.fromkeys(status for one in answers for status in one.status)),
        close=tuple(dict.fromkeys(code for one in answers for code in one.close)),
        error=next((one.error for one in answers if one.error), None),
    )


def refused(attempt: Attempt, expected: Answer, secrets: Collection[str] = ()) -> Judgement:
    """Judge an attempt that must be refused in a declared way, having seen none of `secrets`.

    Any other end is no refusal: an aborted connection says nothing of the credentials.
    """
    seen = [secret for secret in secrets if any(secret in text for text in attempt.texts)]
    wanted = f"refused with {spell(expected)}, nothing delivered"
    if seen:
        return Judgement(Verdict.FAIL, wanted, f"{attempt}; an event was delivered")
    if attempt.accepted:
        return Judgement(Verdict.FAIL, wanted, str(attempt))
    if attempt.ending is None:
        return verdict_of(attempt.handshake.status in expected.status, wanted, str(attempt))
    return verdict_of(_closed_as(attempt.ending, expected), wanted, str(attempt))


def kept_out(attempt: Attempt, expected: Answer) -> Judgement:
    """Judge that credentials got nobody in: refused as declared, or not taken for any.

    Whoever shows none may be waited for where a first message can authenticate, so credentials
    that a service does not recognise as such may leave it waiting; who is waited for has nothing.
    """
    if attempt.ending is not None and not attempt.ending.ended:
        wanted = f"refused with {spell(expected)}, or left to authenticate"
        return verdict_of(not attempt.accepted, wanted, str(attempt))
    return refused(attempt, expected)


def closed(
    ending: Ending,
    expected: Answer,
    *,
    within_s: float | None = None,
    not_before_s: float = 0.0,
) -> Judgement:
    """Judge that the service closed with a declared code, in the declared time.

    `within_s` and `not_before_s` count from when the ending was watched for.
    """
    wanted = f"closed with {spell(expected)}"
    if within_s is not None:
        wanted += f" between {not_before_s:.2f} and {within_s:.2f} s"
    in_time = ending.after_s >= not_before_s and (within_s is None or ending.after_s <= within_s)
    return verdict_of(_closed_as(ending, expected) and in_time, wanted, str(ending))


def gone(ending: Ending, within_s: float) -> Judgement:
    """Judge that the connection is over within the time, however it was ended."""
    return verdict_of(
        ending.kind in ENDS and ending.after_s <= within_s,
        f"the connection is over within {within_s:.2f} s",
        str(ending),
    )


def answered(handshake: Handshake, statuses: Collection[int]) -> Judgement:
    """Judge an HTTP answer by its status."""
    wanted = "HTTP " + " or ".join(map(str, sorted(statuses)))
    return verdict_of(handshake.status in statuses, wanted, str(handshake))


def withstood(seen: Watched, promises: Promises) -> tuple[Judgement, ...]:
    """Judge what was seen during an attack by what the profile promises of one.

    A figure that could not be measured proves nothing. Nor does a latency that only misses its
    bound because the audit itself sent late.

    Raises:
        CannotTellError: one of the promises is missing.
    """
    p99_s, peak = seen.percentile_s(0.99), seen.rss_peak_bytes
    bounds = {
        "attacked_p99_ms": ("an honest p99", None if p99_s is None else p99_s * 1_000, 1.0, "ms"),
        "attacked_memory_bytes": ("a peak of memory", None if peak is None else peak, 1e6, "MB"),
        "attacked_recovery_s": ("recovery", seen.recovery_s, 1.0, "s"),
    }
    lost = seen.canary_lost
    found = [verdict_of(not lost, "the honest client is served", lost or "it is")]
    for name, (what, measured, unit_size, unit) in bounds.items():
        bound = getattr(promises, name)
        if bound is None:
            raise CannotTellError(f"the profile has no `promises.{name}`; state it, or decline")
        wanted = f"{what} of at most {bound / unit_size:g} {unit}"
        if measured is None:
            found.append(Judgement(Verdict.INCONCLUSIVE, wanted, "it could not be measured"))
        elif name == "attacked_p99_ms" and measured > bound >= _service_p99_ms(seen):
            late = f"{measured:.3g} ms from when it was due, {_service_p99_ms(seen):.3g} ms from"
            late += " when it was sent: the audit itself was late, the machine is too busy"
            found.append(Judgement(Verdict.INCONCLUSIVE, wanted, late))
        else:
            said = f"{measured / unit_size:.3g} {unit}"
            found.append(verdict_of(measured <= bound, wanted, said))
    return tuple(found)


def _service_p99_ms(seen: Watched) -> float:
    p99_s = seen.service_percentile_s(0.99)
    return math.inf if p99_s is None else p99_s * 1_000


def _closed_as(ending: Ending, expected: Answer) -> bool:
    if ending.kind in {"eof", "reset"}:
        return NO_CLOSE_FRAME in expected.close
    return ending.kind == "close" and ending.code in expected.close
