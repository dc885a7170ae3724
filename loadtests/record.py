"""Writes a run folder from what was measured: tables, histograms, and the record over them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from loadtests.accounting.histogram import Recorder
from loadtests.accounting.latencies import INTERVAL_NS
from loadtests.accounting.spread import FIGURES
from loadtests.accounting.timeline import percentile_us
from loadtests.figures import (
    Measured,
    below_clock_bound,
    complete_events,
    merged,
    repeat_metrics,
    repeat_values,
    run_metrics,
)
from loadtests.plan import Plan
from loadtests.results import RepeatResult
from loadtests.sampler import HOST, OTHERS
from loadtests.validity import RunJudgement
from monitor.contract.evidence import (
    Histogram,
    Provenance,
    Repeat,
    RunRecord,
    RunWriter,
)
from monitor.contract.tables import ADMISSIONS, RESOURCES, TIMELINE, Scalar

Row = tuple[Scalar, ...]


class Clock(msgspec.Struct, frozen=True):
    """One instant on both clocks, so that the others can be dated."""

    monotonic_ns: int
    utc: datetime

    def at_s(self, instant_ns: int) -> float:
        """Seconds from this instant."""
        return round((instant_ns - self.monotonic_ns) / 1e9, 3)

    def date(self, instant_ns: int) -> str:
        """RFC 3339 in UTC, to the second."""
        moment = self.utc + timedelta(microseconds=(instant_ns - self.monotonic_ns) / 1000)
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write(
    writer: RunWriter,
    run_id: str,
    plan: Plan,
    url: str,
    measured: Measured,
    judgement: RunJudgement,
    provenance: Provenance,
    clock: Clock,
) -> Path:
    """Write everything and return the finished run folder."""
    results = measured.results
    writer.write_table(TIMELINE, _timeline(results))
    writer.write_table(RESOURCES, _resources(measured, clock))
    writer.write_table(ADMISSIONS, _admissions(results, clock))
    writer.write_histograms(_histograms(results))
    repeats = tuple(
        Repeat(
            number=result.repeat,
            started_at=clock.date(result.started_at_ns),
            window_s=result.window_s,
            verdict=verdict,
            reasons=reasons,
            metrics=repeat_metrics(result, measured.samples, measured.own(result)),
            point=result.point,
            counted=result.counted,
        )
        for result, (verdict, reasons) in zip(results, judgement.repeats, strict=True)
    )
    notes = {
        f"repeat_{result.repeat}_{what}": text
        for result in results
        for what, text in (
            ("publisher_lost", result.publisher_fault),
            ("first_refusal", result.first_refusal),
            ("clients_refused", _turned_away(result)),
            ("clocks", "; ".join(result.clocks)),
            ("below_the_clocks_bound", ", ".join(_refused(result))),
        )
        if text
    }
    return writer.finish(
        RunRecord(
            id=run_id,
            kind="load",
            scenario=plan.scenario.name(),
            parameters={**plan.parameters(), "repeats_done": len(results), **notes},
            target=plan.target.name,
            target_url=url,
            verdict=judgement.verdict,
            reasons=judgement.reasons,
            metrics=run_metrics(measured),
            repeats=repeats,
            provenance=provenance,
        )
    )


def _refused(result: RepeatResult) -> list[str]:
    """Name the figures a repeat does not have because they were below the clock's bound."""
    if not result.clock_bound_us:
        return []
    whole = msgspec.structs.replace(result, clock_bound_us=0.0)
    return below_clock_bound(result, repeat_values(whole, ()))


def _histograms(results: Sequence[RepeatResult]) -> Iterator[Histogram]:
    """Each repeat's histograms, and under repeat 0 all of them merged."""
    for kind in ("response", "service"):
        for result in results:
            yield merged([result], kind).export(kind, result.repeat)
        yield merged([one for one in results if one.counted], kind).export(kind, 0)
    for name in FIGURES:
        whole = Recorder()
        for result in results:
            if name in result.part.fanout:
                recorder = Recorder.restore(result.part.fanout[name])
                yield recorder.export(name, result.repeat)
                if result.counted:
                    whole.merge(recorder)
        yield whole.export(name, 0)


def _turned_away(result: RepeatResult) -> str:
    """Say how many clients were refused, and how the first was; empty if none was."""
    part = result.part
    if not part.refused:
        return ""
    answers = (one.answer for one in part.admissions if not one.admitted)
    return f"{part.refused} of {part.offered} clients, the first with: {next(answers, 'silence')}"


def _timeline(results: Sequence[RepeatResult]) -> Iterator[Row]:
    for result in results:
        complete = complete_events(result)
        first = result.passage.first
        for number, passage in enumerate(result.passage.intervals):
            part = result.part.intervals[number]
            low, high = passage.events
            at_s = number * INTERVAL_NS / 1e9
            yield (
                result.repeat,
                at_s,
                round(min(INTERVAL_NS / 1e9, result.window_s - at_s), 6),
                part.clients,
                high - low,
                passage.sent,
                int(complete[low - first : high - first].sum()),
                part.expected,
                part.received,
                percentile_us(part.response, 50),
                percentile_us(part.response, 99),
                part.response_max_ns / 1000 if part.received else None,
                percentile_us(part.service, 50),
                percentile_us(part.service, 99),
                passage.lag_max_ns / 1000 if passage.sent else None,
            )


def _resources(measured: Measured, clock: Clock) -> Iterator[Row]:
    for one in measured.samples:
        if one.role in {HOST, OTHERS}:
            continue  # of the machine, not of a process tree: figures of each repeat
        yield (
            one.repeat,
            clock.at_s(one.at_ns),
            one.role,
            one.processes,
            one.rss_bytes,
            one.uss_bytes,
            None if one.cpu_percent is None else round(one.cpu_percent, 1),
            one.descriptors,
            one.threads,
        )


def _admissions(results: Sequence[RepeatResult], clock: Clock) -> Iterator[Row]:
    for result in results:
        for one in result.part.admissions:
            at_s = clock.at_s(one.at_ns) if one.at_ns else None
            ended_s = clock.at_s(one.ended_ns) if one.ended_ns else None
            kind = "request" if one.who == "knock" else "connection"
            yield (
                result.repeat,
                at_s,
                one.address,
                kind,
                int(one.admitted),
                one.answer[:200],
                one.who,
                one.shown,
                clock.at_s(one.began_ns),
                ended_s,
            )
