"""Judges the run itself: were the figures made by a generator that kept its own promises?

Only faults of the generator, or a target that was never there, make a run INVALID. What the
target did under load, however bad, is a figure. The thresholds follow the design; each says why.
"""

from collections.abc import Mapping, Sequence
from statistics import median

import msgspec

from loadtests.accounting.histogram import PERCENTILES, Recorder
from loadtests.bounds import DEFAULT_BOUND_US, RECEIVE_BUFFER_BYTES
from loadtests.results import RepeatResult
from monitor.contract.verdicts import RunVerdict

#: One send in a hundred may be late: p99 and everything below it is then the target's.
ON_TIME_SHARE = 0.99

#: Above this share of its core, waiting for the processor is no longer rare for receivers.
GENERATOR_CPU_PERCENT = 80.0

#: What harness and host add by themselves may be a fifth of what is to be judged. Like is held
#: against like: a claim about the mean against the null server's mean, one about p99 against its
#: p99. A null server's p99 says little of a mean: 50 writes and 50 reads an event queue up in any
#: burst, on two cores to several times the mean.
NULL_SHARE = 0.2


#: With every core busy, whoever wakes up waits for a slice of somebody else's, some 3 ms. A fifth
#: of the cores in other hands, and what is measured is the wait. Where a core is free, others do
#: no harm; where target and generator themselves fill the machine, that is a figure.
HOST_BUSY_PERCENT = 90.0
OTHERS_PERCENT = 20.0

#: Ten slices and more in a row: a bound above this is out of reach of such waits.
CROWDED_BOUND_US = 100_000.0

#: A receive queue that is full holds the target up, and a service that thins, or cuts off, readers
#: that do not keep up would take ours for such. The kernel may need half of a buffer for its own
#: bookkeeping, so half of the other half is the most that certainly holds up nobody.
QUEUE_FILL_PERCENT = 25.0

#: A crowd that is to arrive within a second must be on time to a few hundredths of it.
MOVES_LATE_US = 50_000.0


class Calibration(msgspec.Struct, frozen=True):
    """The null server under the same load: what the harness and the host add by themselves.

    `figures` are in µs, by the name of the metric they stand beside: `response_mean_us` and the
    percentiles there are enough samples for.
    """

    figures: dict[str, float]


class RunJudgement(msgspec.Struct, frozen=True):
    """The verdict on a run and on each of its repeats, with reasons."""

    verdict: RunVerdict
    reasons: tuple[str, ...]
    repeats: tuple[tuple[RunVerdict, tuple[str, ...]], ...]


def judge_run(
    results: Sequence[RepeatResult],
    *,
    calibration: Calibration | None,
    bounds_us: Mapping[str, float],
    load_average: float,
    cores: int,
    interrupted: bool,
    deaths: int = 0,
    doubts: Sequence[str] = (),
) -> RunJudgement:
    """Judge a run from its repeats; thresholds apply to the repeats pooled.

    A repeat that breaks one alone, while the pool keeps it, makes the run SUSPECT. `bounds_us`
    are the bounds on latency that are to be judged, by metric; `doubts` what the scenario itself
    has to say against its figures. Of a target that died (`deaths`) nobody says that it was never
    there.
    """
    gone = deaths > 0
    alone = [tuple(_broken([result], bounds_us) + _failed(result, gone)) for result in results]
    counted = [result for result in results if result.counted]
    hard = [reason for result in counted for reason in _failed(result, gone)]
    for point in dict.fromkeys(result.point for result in counted):
        where = f"{point}: " if point else ""
        pooled = [result for result in counted if result.point == point]
        hard += [f"{where}{reason}" for reason in _broken(pooled, bounds_us)]
    if interrupted and not any("interrupted" in reason for reason in hard):
        hard.insert(0, "interrupted before the planned repeats were done")
    if not results and not interrupted:
        hard.append("no repeat was made")
    elif not counted and not interrupted and not any(result.believed for result in results):
        hard += ["nothing that was tried can be believed, so there is nothing to judge", *doubts]
    if calibration is not None:
        hard += _too_slow(calibration, bounds_us)
    soft = [
        f"repeat {result.repeat} alone: {reason}"
        for result, reasons in zip(results, alone, strict=True)
        for reason in reasons
        if result.counted
    ]
    soft += [said for result in counted for said in _unmeasured(result)]
    soft += doubts
    if not bounds_us:
        # Nothing on latency is judged; whoever reads the figures should know all the same.
        soft += [f"repeat {one.repeat}: {said}" for one in counted for said in _crowded([one])]
    if load_average > cores:
        soft.append(f"the load average at the start was {load_average:.1f} on {cores} cores")
    if calibration is not None and not bounds_us:
        soft += _too_slow(calibration, {"response_mean_us": DEFAULT_BOUND_US})
    if calibration is None:
        soft.append("the null server was not measured")
    repeats = tuple(
        (RunVerdict.INVALID if reasons else RunVerdict.VALID, reasons) for reasons in alone
    )
    if hard:
        return RunJudgement(RunVerdict.INVALID, tuple(dict.fromkeys(hard)), repeats)
    verdict = RunVerdict.SUSPECT if soft else RunVerdict.VALID
    return RunJudgement(verdict, tuple(soft), repeats)


def reasons_against(result: RepeatResult, bounds_us: Mapping[str, float]) -> list[str]:
    """Say why one repeat by itself cannot be believed; nothing if it can."""
    return [*_failed(result), *_broken([result], bounds_us)]


def believable(result: RepeatResult, bounds_us: Mapping[str, float]) -> bool:
    """Tell whether one repeat by itself breaks no threshold."""
    return not reasons_against(result, bounds_us)


def _too_slow(calibration: Calibration, bounds_us: Mapping[str, float]) -> list[str]:
    """Which bounds the null server itself comes too near to."""
    reasons = []
    for metric, bound_us in bounds_us.items():
        # A percentile with too few samples in the short calibration: the largest there is.
        figure_us = calibration.figures.get(metric, max(calibration.figures.values()))
        if figure_us > NULL_SHARE * bound_us:
            reasons.append(
                f"the null server's {metric} was {figure_us:,.0f} µs, over {NULL_SHARE:.0%} of the"
                f" bound of {bound_us:,.0f} µs: this host adds too much by itself; run on a"
                " quieter one"
            )
    return reasons


def _failed(result: RepeatResult, gone: bool = False) -> list[str]:
    """What no pooling mends; that nobody was there is no such thing if the target died: `gone`."""
    reasons = list(result.faults)
    if result.interrupted:
        reasons.append("interrupted before the window was over")
    if result.publisher_died:
        reasons.append("the publisher died; its schedule was not kept")
    answers = [admission.answer for admission in result.part.admissions]
    answered = result.part.admitted or any(answer[:1].isdigit() for answer in answers)
    if not answered and not gone:
        said = answers[0] if answers else result.publisher_fault or "nothing"
        reasons.append(f"the target was never reachable: {said}")
    return reasons


def _unmeasured(result: RepeatResult) -> list[str]:
    """Say why nothing was offered in a repeat, if it is that the target let nobody in."""
    if result.passage.scheduled or _failed(result):
        return []
    refusals = [one.answer for one in result.part.admissions if not one.admitted]
    said = (
        result.publisher_fault or f"no client was let in: {refusals[0] if refusals else 'silence'}"
    )
    return [f"repeat {result.repeat}: nothing was measured: {said}"]


def _broken(results: Sequence[RepeatResult], bounds_us: Mapping[str, float]) -> list[str]:
    """Which thresholds these repeats together break."""
    bound_us = min(bounds_us.values(), default=DEFAULT_BOUND_US)
    reasons = []
    scheduled = sum(result.passage.scheduled for result in results)
    amiss = sum(_amiss(result) for result in results)
    if scheduled and amiss > (1 - ON_TIME_SHARE) * scheduled:
        reasons.append(
            f"the generator sent {amiss:,} of {scheduled:,} events late or not at all"
            f" ({amiss / scheduled:.1%} later than {bound_us / 10:,.0f} µs; 1% are allowed): the"
            " offered rate was not reached by its own fault"
        )
    seconds = sum(result.window_s for result in results)
    if seconds:
        used = sum(result.part.cpu_percent * result.window_s for result in results) / seconds
        if used >= GENERATOR_CPU_PERCENT:
            reasons.append(
                f"the generator used {used:.0f} % of a core in the window;"
                f" {GENERATOR_CPU_PERCENT:.0f} % is the most at which its clock can be trusted"
            )
    reasons += _receivers_late(results, bounds_us or {"response_mean_us": DEFAULT_BOUND_US})
    fill_percent = max((one.part.queue_fill_max_percent or 0.0 for one in results), default=0.0)
    if fill_percent >= QUEUE_FILL_PERCENT:
        reasons.append(
            f"a receive buffer of the generator was {fill_percent:.0f} % full"
            f" ({QUEUE_FILL_PERCENT:.0f} % is the most that certainly holds up no target): what the"
            " target sent late or left out may be the generator's doing; give each process fewer"
            f" clients (more --workers, or fewer --clients) or offer less{_room_bounded(results)}"
        )
    if bounds_us and bound_us < CROWDED_BOUND_US:
        reasons += _crowded(results)
    lags_us = [result.part.moves_lag_p99_us or 0.0 for result in results if result.punctual]
    lag_us = max(lags_us, default=0.0)
    if lag_us > MOVES_LATE_US:
        reasons.append(
            f"clients were moved {lag_us / 1000:,.0f} ms late (99 of 100 at most"
            f" {MOVES_LATE_US / 1000:,.0f} ms are allowed): what arrived together was not due"
            " together"
        )
    return reasons


def _room_bounded(results: Sequence[RepeatResult]) -> str:
    """Say how to make the receive buffers larger, if it is the kernel that keeps them small."""
    rooms = [one.part.receive_room_bytes for one in results if one.part.receive_room_bytes]
    granted = min(rooms, default=2 * RECEIVE_BUFFER_BYTES) // 2
    if granted >= RECEIVE_BUFFER_BYTES:
        return ""
    return (
        f"; net.core.rmem_max bounds the buffer to {granted:,} bytes of the"
        f" {RECEIVE_BUFFER_BYTES:,} asked for:"
        f" `sudo sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}`"
    )


def _receivers_late(results: Sequence[RepeatResult], bounds_us: Mapping[str, float]) -> list[str]:
    """Which bounds the receivers' own lateness comes too near to, by the bound's own statistic.

    As with latencies, the median of repeats counts.
    """
    lags = [
        Recorder.restore(result.part.loop_lag)
        for result in results
        if result.part.loop_lag.get("count")
    ]
    reasons = []
    for metric, bound_us in bounds_us.items() if lags else ():
        statistic = metric.removesuffix("_us").rpartition("_")[2]
        late_us = median(_statistic_us(lag, statistic) for lag in lags)
        if late_us > NULL_SHARE * bound_us:
            which = "on average" if statistic == "mean" else f"({statistic})"
            reasons.append(
                f"the receivers themselves read {late_us:,.0f} µs late {which}, over"
                f" {NULL_SHARE:.0%} of the bound of {bound_us:,.0f} µs: something else had their"
                " core; run on a quieter machine, or with more cores"
            )
    return reasons


def _statistic_us(lag: Recorder, statistic: str) -> float:
    """Return a statistic of how late was read, in µs, named as in a latency's metric."""
    if statistic == "mean":
        return lag.mean_us or 0.0
    percent = PERCENTILES.get(statistic)
    return (lag.max_us if percent is None else lag.percentile_us(percent)) or 0.0


def _crowded(results: Sequence[RepeatResult]) -> list[str]:
    """Whether other processes held so much of a full machine that latencies are theirs."""
    loads = [result.host for result in results if result.host is not None]
    if not loads:
        return []
    busy_percent = median(load.busy_percent for load in loads)
    others_percent = median(load.others_percent for load in loads)
    if busy_percent < HOST_BUSY_PERCENT or others_percent < OTHERS_PERCENT:
        return []
    return [
        (
            f"all cores were {busy_percent:.0f} % busy in the window, {others_percent:.0f} % with"
            " processes that are neither target nor generator: latencies are the wait for a core"
            " as well; run on a quieter machine"
        )
    ]


def _amiss(result: RepeatResult) -> int:
    """Events sent late or not at all by the generator's own fault."""
    unsent = 0 if result.publisher_fault else result.passage.unsent_ours
    return result.passage.late_ours + unsent
