"""How much is too much."""

import resource
from collections.abc import Callable, Sequence
from typing import ClassVar

import msgspec

from loadtests.bounds import MAX_RATE, SPARE_DESCRIPTORS
from loadtests.results import RepeatResult
from loadtests.scenarios import Asked, Scenario, Steps
from loadtests.schedule.course import Point, steady
from loadtests.search import CONFIRMATIONS, most, trials
from monitor.contract.evidence import Metric


class Capacity(Scenario):
    """The most clients, and the most events/s, that keep the objectives: found and confirmed.

    Doubles until an objective is missed, bisects to a tenth, and confirms what is left three times
    in a row, first the clients at the rate asked for, then the rate at the clients asked for.
    Objectives are no loss, and the ones given or else the latency the claims speak of. Where the
    generator could not follow, or a quota or this machine's limits ended the search, the figure
    says so: then the target's own maximum is higher.
    """

    clients: ClassVar[int] = 50
    rate: ClassVar[float] = 500.0
    warmup_s: ClassVar[float] = 1.0
    window_s: ClassVar[float] = 3.0
    repeats: ClassVar[int] = 1
    once: ClassVar[str] = (
        "a search repeats by itself: what it found has to hold three times in a row. Its interval"
        " is its resolution, a tenth: the next step up missed an objective or could not be offered"
    )
    proves: ClassVar[tuple[str, ...]] = ("capacity_clients >= 1", "capacity_events_per_s >= 1")
    measures: ClassVar[tuple[str, ...]] = ("capacity_clients", "capacity_events_per_s")
    seeks: ClassVar[bool] = True

    @classmethod
    def steps(cls, asked: Asked) -> Steps:
        """First the clients, then the rate."""

        def clients(value: int) -> Point:
            return steady(value, asked.rate, asked.warmup_s, asked.window_s)

        def rate(value: int) -> Point:
            return steady(asked.clients, value, asked.warmup_s, asked.window_s)

        yield from _search("clients", clients, asked.clients, _most_clients())
        yield from _search("rate", rate, max(1, int(asked.rate)), _most_rate(asked))

    @classmethod
    def attempts(cls, asked: Asked) -> tuple[int, int] | None:
        """Those of both searches."""
        both = [trials(asked.clients), trials(max(1, int(asked.rate)))]
        return sum(least for least, _ in both), sum(most for _, most in both)

    @classmethod
    def conclude(cls, asked: Asked, results: Sequence[RepeatResult]) -> dict[str, Metric]:
        """What was confirmed, and what ended the search; a search that failed has no figure."""
        found: dict[str, Metric] = {}
        for label, name, unit, limit in _searches(asked):
            tries = _tries(results, label)
            value = _confirmed(tries, label)
            if value or _nothing_holds(tries, label):
                ended = _ended_by(tries, label, value, limit)
                statistic = f"most that kept the objectives; ended by {ended}"
                found[name] = Metric(float(value), unit, statistic, samples=len(tries))
        return found

    @classmethod
    def doubts(cls, asked: Asked, results: Sequence[RepeatResult]) -> tuple[str, ...]:
        """Why a search found nothing, where it was not that even one was too much."""
        said = []
        for label, name, _unit, _limit in _searches(asked):
            tries = _tries(results, label)
            if _confirmed(tries, label) or _nothing_holds(tries, label):
                continue
            spoilt = sum(not one.believed for one in tries)
            missed = sum(one.believed and not one.kept for one in tries)
            said.append(
                f"{name}: not found. Of {len(tries)} attempts, {spoilt} say nothing of the target"
                f" (the host or the generator could not follow, or too few events were due for a"
                f" figure that is to be kept), {missed} missed an objective, and"
                f" none held {CONFIRMATIONS} times in a row; each repeat has its reasons"
            )
        return tuple(said)


def _searches(asked: Asked) -> tuple[tuple[str, str, str, int], ...]:
    """Label, figure, unit and limit of each search."""
    return (
        ("clients", "capacity_clients", "clients", _most_clients()),
        ("rate", "capacity_events_per_s", "events/s", _most_rate(asked)),
    )


def _tries(results: Sequence[RepeatResult], label: str) -> list[RepeatResult]:
    return [one for one in results if one.point.startswith(f"{label}_")]


def _nothing_holds(tries: Sequence[RepeatResult], label: str) -> bool:
    """Tell whether the least there is was tried, believed, and missed an objective."""
    return any(_value(one, label) == 1 and one.believed and not one.kept for one in tries)


def _search(label: str, point: Callable[[int], Point], start: int, limit: int) -> Steps:
    search = most(start, limit)
    try:
        trial = next(search)
        while True:
            here = msgspec.structs.replace(
                point(trial.value),
                label=f"{label}_{trial.value}",
                counted=trial.confirming,
                trial=True,
            )
            outcome = yield here
            trial = search.send(outcome.kept and outcome.believed)
    except StopIteration:
        return


def _value(result: RepeatResult, label: str) -> int:
    return int(result.point.removeprefix(f"{label}_"))


def _confirmed(tries: Sequence[RepeatResult], label: str) -> int:
    """Return the value that held as often in a row as it takes, at the end; else 0."""
    last = [_value(one, label) for one in tries if one.counted][-CONFIRMATIONS:]
    return last[0] if len(last) == CONFIRMATIONS and len(set(last)) == 1 else 0


def _ended_by(tries: Sequence[RepeatResult], label: str, value: int, limit: int) -> str:
    if value >= limit:
        return "the limit of what can be offered here"
    above = [one for one in tries if _value(one, label) > value]
    nearest = min(above, key=lambda one: _value(one, label), default=None)
    if nearest is None or nearest.believed:
        return "a missed objective"
    return "the generator: the target's own is higher"


def _most_clients() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 100_000 if soft == resource.RLIM_INFINITY else soft - SPARE_DESCRIPTORS


def _most_rate(asked: Asked) -> int:
    quota = asked.target.promises.publish_events_per_s
    return int(min(MAX_RATE, quota or MAX_RATE))
