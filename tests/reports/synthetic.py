"""One synthetic run folder with known figures, written through the real `RunWriter`.

Seeded, so that two calls with the same arguments write the same evidence byte for byte. The
shapes are those of a real run: a log-normal body, an occasional pause, timelines and resources
of every repeat.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from hdrh.histogram import HdrHistogram

from monitor.contract.evidence import (
    FINDINGS,
    Histogram,
    Metric,
    Provenance,
    Repeat,
    RunRecord,
    RunWriter,
    load_run,
)
from monitor.contract.findings import Finding
from monitor.contract.tables import ADMISSIONS, RESOURCES, TIMELINE, Scalar
from monitor.contract.verdicts import RunVerdict, Severity, Verdict

RUN_ID = "20250101-120000-load-chapter-5eed"
_REPEAT_EVERY_S = 15.0  # warm-up 3 s, window 10 s, 2 s until the next


@dataclass(frozen=True)
class Synthetic:
    """What the run is to show. Latencies in microseconds, memory in bytes.

    `weight` counts every delivery so many times: a long run for the price of a short one.
    """

    repeats: int = 5
    clients: int = 50
    rate: int = 1_100
    window_s: int = 10
    median_us: float = 800.0
    sigma: float = 0.35
    weight: int = 1
    lost_per_repeat: int = 0
    dies_in_repeat: int | None = None
    rss_bytes: int = 41_000_000
    verdict: RunVerdict = RunVerdict.VALID
    reasons: tuple[str, ...] = ()

    @property
    def events(self) -> int:
        return self.rate * self.window_s


NORMAL = Synthetic()
LOSSY = replace(NORMAL, lost_per_repeat=7)
DEAD = replace(NORMAL, dies_in_repeat=3)
QUICK = replace(NORMAL, repeats=2, rate=1_000, window_s=2, clients=50)
SLOW = replace(QUICK, median_us=20_600.0, sigma=0.05)
INVALID = replace(
    QUICK,
    verdict=RunVerdict.INVALID,
    reasons=("publisher: 93.1 % of sends were on time, at least 99 % must be",),
)


def write_run(
    root: Path,
    shape: Synthetic = NORMAL,
    run_id: str = RUN_ID,
    target: str = "reference monitor",
    scenario: str = "chapter",
) -> Path:
    """Write the run folder under `root` and return it."""
    repeats = [_Repeat(shape, number) for number in range(1, shape.repeats + 1)]
    with RunWriter(root, run_id) as writer:
        writer.write_table(TIMELINE, _timeline(shape, repeats))
        writer.write_table(RESOURCES, _resources(shape))
        writer.write_histograms(part for each in repeats for part in each.histograms())
        record = _record(shape, run_id, repeats)
        return writer.finish(msgspec.structs.replace(record, target=target, scenario=scenario))


def write_empty_run(root: Path, run_id: str = RUN_ID) -> Path:
    """Write a run whose target was never reachable: a record and nothing else."""
    reasons = ("the target was never reachable",)
    shape = replace(NORMAL, repeats=0, verdict=RunVerdict.INVALID, reasons=reasons)
    record = _record(shape, run_id, [])
    with RunWriter(root, run_id) as writer:
        return writer.finish(record)


class _Repeat:
    """One repeat's deliveries: response and service times of every one that arrived."""

    def __init__(self, shape: Synthetic, number: int) -> None:
        self.number = number
        self.shape = shape
        generator = np.random.default_rng(number)
        gone = shape.dies_in_repeat is not None and number >= shape.dies_in_repeat
        share = 0.0 if gone and number != shape.dies_in_repeat else 0.4 if gone else 1.0
        self.complete = int(shape.events * share) - shape.lost_per_repeat
        self.lost = (shape.events - self.complete) * (shape.clients if gone else 1)
        self.received = shape.events * shape.clients - self.lost
        service = generator.lognormal(np.log(shape.median_us), shape.sigma, self.received)
        pause = generator.random(self.received) < 0.0004 * (number % 3 + 1)
        service += np.where(pause, generator.exponential(shape.median_us * 1.5, len(pause)), 0)
        self.service = service.astype(np.int64)
        self.response = (service + generator.gamma(1.5, 25.0, self.received)).astype(np.int64)

    def histograms(self) -> Iterator[Histogram]:
        yield histogram("response", self.number, self.response, self.shape.weight)
        yield histogram("service", self.number, self.service, self.shape.weight)

    def metrics(self) -> dict[str, Metric]:
        shape = self.shape
        held = shape.clients if not self.lost else shape.clients - min(self.lost, shape.clients)
        figures = {
            "clients_held": (held, "clients"),
            "events_per_s": (self.complete / shape.window_s, "events/s"),
            "deliveries_per_s": (self.received / shape.window_s, "deliveries/s"),
            "deliveries_received": (self.received * shape.weight, "deliveries"),
            "deliveries_lost": (self.lost, "deliveries"),
            "send_lag_max_us": (310 + 40 * self.number, "us"),
        }
        for kind, times in (("response", self.response), ("service", self.service)):
            if len(times):
                figures[f"{kind}_mean_us"] = (float(times.mean()), "us")
                figures[f"{kind}_max_us"] = (int(times.max()), "us")
                for key, percent in (("p50", 50), ("p90", 90), ("p99", 99), ("p999", 99.9)):
                    figures[f"{kind}_{key}_us"] = (float(np.percentile(times, percent)), "us")
        return {name: Metric(float(value), unit) for name, (value, unit) in figures.items()}


def histogram(name: str, repeat: int, values: np.ndarray, weight: int = 1) -> Histogram:
    """Encode microseconds, each `weight` times, as a HdrHistogram of three digits up to an hour."""
    buckets = HdrHistogram(1, 3_600_000_000, 3)
    for value, count in zip(*np.unique(values, return_counts=True), strict=True):
        buckets.record_value(int(value), int(count) * weight)
    return Histogram(
        name=name,
        repeat=repeat,
        unit="us",
        encoded=buckets.encode().decode("ascii"),
        count=len(values) * weight,
        sum=int(values.sum()) * weight,
        min=int(values.min()) if len(values) else 0,
        max=int(values.max()) if len(values) else 0,
        out_of_range=0,
    )


def _record(shape: Synthetic, run_id: str, repeats: list[_Repeat]) -> RunRecord:
    parts = [each.metrics() for each in repeats]
    return RunRecord(
        id=run_id,
        kind="load",
        scenario="chapter",
        parameters={
            "clients": shape.clients,
            "rate_per_s": shape.rate,
            "window_s": shape.window_s,
            "warmup_s": 3,
            "repeats": shape.repeats,
        },
        target="reference monitor",
        target_url="ws://127.0.0.1:4001/",
        verdict=shape.verdict,
        reasons=shape.reasons,
        metrics=_metrics(shape, repeats, parts) if repeats else {},
        repeats=tuple(
            Repeat(
                number=each.number,
                started_at=f"2025-01-01T12:00:{each.number:02}Z",
                window_s=shape.window_s,
                verdict=RunVerdict.VALID,
                reasons=(),
                metrics=part,
            )
            for each, part in zip(repeats, parts, strict=True)
        ),
        provenance=PROVENANCE,
    )


def _metrics(
    shape: Synthetic, repeats: list[_Repeat], parts: list[dict[str, Metric]]
) -> dict[str, Metric]:
    found = {
        name: _over_repeats([part[name] for part in parts if name in part]) for name in parts[0]
    }
    for kind in ("response", "service"):
        found[f"{kind}_max_us"] = _combined(max, parts, f"{kind}_max_us")
    for name in ("deliveries_received", "deliveries_lost"):
        found[name] = _combined(sum, parts, name)
    found["clients_held"] = _combined(min, parts, "clients_held")
    events = shape.events * shape.repeats
    died = 0 if shape.dies_in_repeat is None else 1
    totals: dict[str, tuple[float, str]] = {
        "clients_offered": (shape.clients, "clients"),
        "clients_refused": (0, "clients"),
        "events_offered_per_s": (shape.rate, "events/s"),
        "events_scheduled": (events, "events"),
        "events_sent": (events, "events"),
        "deliveries_expected": (events * shape.clients, "deliveries"),
        "deliveries_thinned": (0, "deliveries"),
        "deliveries_duplicated": (0, "deliveries"),
        "deliveries_reordered": (0, "deliveries"),
        "target_rss_peak_bytes": (_peak_rss(shape), "bytes"),
        "target_deaths": (died, "deaths"),
    }
    for name, (value, unit) in totals.items():
        found[name] = Metric(float(value), unit, statistic="total")
    return found


def _over_repeats(parts: list[Metric]) -> Metric:
    values = tuple(part.value for part in parts)
    interval = (min(values), max(values)) if len(values) >= 5 else None
    return Metric(
        float(np.median(values)),
        parts[0].unit,
        repeats=values,
        interval=interval,
        samples=len(values),
    )


def _combined(
    combine: Callable[[tuple[float, ...]], float], parts: list[dict[str, Metric]], name: str
) -> Metric:
    values = tuple(part[name].value for part in parts if name in part)
    unit = next(part[name].unit for part in parts if name in part)
    return Metric(float(combine(values)), unit, statistic=combine.__name__, repeats=values)


def _timeline(shape: Synthetic, repeats: Iterable[_Repeat]) -> Iterator[tuple[Scalar, ...]]:
    for each in repeats:
        generator = np.random.default_rng(100 + each.number)
        steps = shape.window_s * 2
        due = np.full(steps, shape.events // steps) + generator.integers(-15, 16, steps)
        due[-1] += shape.events - due.sum()
        left = each.complete
        for step, scheduled in enumerate(due):
            complete = min(int(scheduled), left)
            left -= complete
            row = (each.number, step / 2, 0.5, shape.clients, int(scheduled), int(scheduled))
            expected = int(scheduled) * shape.clients
            median = shape.median_us if complete else None
            yield (
                *row,
                complete,
                expected,
                complete * shape.clients,
                *(median, median, median, median, median),
                310.0,
            )


def _peak_rss(shape: Synthetic) -> int:
    role, rss = RESOURCES.names.index("role"), RESOURCES.names.index("rss_bytes")
    return max(int(row[rss] or 0) for row in _resources(shape) if row[role] == "target")


def _resources(shape: Synthetic) -> Iterator[tuple[Scalar, ...]]:
    generator = np.random.default_rng(7)
    total_s = _REPEAT_EVERY_S * shape.repeats
    for tick in range(int(total_s * 10)):
        at = tick / 10
        repeat = int(at // _REPEAT_EVERY_S) + 1
        warm = 1 - np.exp(-at / 4)
        rss = {
            "target": 30_000_000 + (shape.rss_bytes - 30_000_000) * warm,
            "generator": 96_000_000 + 9_000_000 * warm,
            "publisher": 33_000_000,
        }
        cpu = {"target": 38.0, "generator": 29.0, "publisher": 9.0}
        for role, base in rss.items():
            dead = shape.dies_in_repeat is not None and repeat > shape.dies_in_repeat
            if role == "target" and dead:
                continue
            jitter = int(generator.integers(-90_000, 90_001))
            percent = float(max(0, cpu[role] + generator.normal(0, 2)))
            yield (
                *(repeat, at, role, 1, int(base) + jitter),
                *(int(base * 0.8), percent, 66 if role != "publisher" else 9, 2),
            )


PROVENANCE = Provenance(
    started_at="2025-01-01T12:00:00Z",
    finished_at="2025-01-01T12:01:20Z",
    command="wsproof load chapter",
    seed=42,
    code_sha256="c0de" * 16,
    profile_sha256="9f0e" * 16,
    commit="0123456789abcdef0123456789abcdef01234567",
    host="5e3df1a0b2c4",
    cpu_model="Synthetic CPU at 2.00 GHz",
    cpu_count=2,
    memory_bytes=8_000_000_000,
    kernel="Linux 6.1.0",
    open_files_limit=1_048_576,
    python="CPython 3.11.7",
    libraries={"websockets": "17.4", "locust": "2.47.0"},
    load_average_before=(0.2, 0.3, 0.3),
    load_average_after=(1.4, 0.6, 0.4),
)


def changed(struct: Any, **fields: Any) -> Any:
    """Return a copy of a claim or record with these fields."""
    return msgspec.structs.replace(struct, **fields)


def write_scenario(
    root: Path,
    scenario: str,
    *,
    admissions: Iterable[tuple[Scalar, ...]] = (),
    timeline: Iterable[tuple[Scalar, ...]] = (),
    metrics: Mapping[str, Metric] | None = None,
    repeats: tuple[Repeat, ...] = (),
) -> Path:
    """Write a run of another scenario from its rows, repeats and figures alone."""
    run_id = f"20250101-140000-load-{scenario}-5eed"
    record = _record(replace(NORMAL, repeats=0), run_id, [])
    with RunWriter(root, run_id) as writer:
        writer.write_table(ADMISSIONS, admissions)
        writer.write_table(TIMELINE, timeline)
        return writer.finish(
            changed(record, scenario=scenario, metrics=dict(metrics or {}), repeats=repeats)
        )


def renamed(run: Path, folder: Path) -> Path:
    """Write a run again under another id, sealed like any other."""
    record = load_run(run).record
    with RunWriter(folder.parent, folder.name) as writer:
        for name in record.files:
            shutil.copyfile(run / name, folder.with_name(f".{folder.name}.partial") / name)
        return writer.finish(changed(record, id=folder.name))


def write_audit(
    root: Path,
    verdicts: Mapping[str, str],
    *,
    claims: Mapping[str, str | None] | None = None,
    only: str | None = None,
    real_time: bool = True,
    verdict: str = "VALID",
    number: int = 1,
    target: str = "reference monitor",
) -> Path:
    """Write an audit with these checks' verdicts; `claims` says which claim each carries."""
    run_id = f"20250101-13000{number}-audit-gate-5eed"
    found = [
        Finding(
            id=check,
            title=f"what {check} looks at",
            verdict=Verdict(word),
            severity=Severity.HIGH,
            claim=(claims or {}).get(check),
            references=(),
            remediation="mend it",
            reason=f"{check} ended {word}",
            expected="refused",
            actual="refused" if word == "PASS" else "served",
            observations=(),
            repeat=f"wsproof audit --only {check}",
            seconds=0.5,
        )
        for check, word in verdicts.items()
    ]
    with RunWriter(root, run_id) as writer:
        writer.write_lines(FINDINGS, found)
        record = _audit_record(run_id, "gate", {"only": only, "real_time": real_time})
        return writer.finish(changed(record, verdict=RunVerdict(verdict), target=target))


def write_trials(root: Path, caught: Sequence[str], missed: Sequence[str] = ()) -> Path:
    """Write the evidence of seeded flaws: each to be caught by HS1, and HS2 quiet."""
    run_id = "20250101-150000-audit-mutants-5eed"
    with RunWriter(root, run_id) as writer:
        writer.write_lines(
            "mutants.jsonl",
            [
                {
                    "mutant": name,
                    "flaw": f"{name} is left out",
                    "claim": None,
                    "may": [],
                    "caught_by": ["HS1"],
                    "verdicts": {"HS1": "FAIL" if name in caught else "PASS", "HS2": "PASS"},
                    "detected": name in caught,
                    "strays": [],
                    "defect": "",
                    "seconds": 1.0,
                }
                for name in (*caught, *missed)
            ],
        )
        return writer.finish(_audit_record(run_id, "mutants", {"full": False}))


def write_twins(root: Path, services: Mapping[str, Mapping[str, str]]) -> Path:
    """Write the evidence of one run of the gate on each correct service."""
    run_id = "20250101-160000-audit-twins-5eed"
    with RunWriter(root, run_id) as writer:
        writer.write_lines(
            "twins.jsonl",
            [
                {
                    "service": name,
                    "seed": 1,
                    "verdicts": verdicts,
                    "undecided": {},
                    "alarms": {check: "" for check, word in verdicts.items() if word == "FAIL"},
                    "applicable": 1,
                    "total": 1,
                    "defect": "",
                    "seconds": 1.0,
                }
                for name, verdicts in services.items()
            ],
        )
        record = _audit_record(run_id, "twins", {"repeats": len(services)})
        return writer.finish(changed(record, target="correct services", target_url=""))


def _audit_record(run_id: str, scenario: str, parameters: dict[str, Scalar]) -> RunRecord:
    return RunRecord(
        id=run_id,
        kind="audit",
        scenario=scenario,
        parameters=parameters,
        target="reference monitor",
        target_url="ws://127.0.0.1:4001/",
        verdict=RunVerdict.VALID,
        reasons=(),
        metrics={},
        repeats=(),
        provenance=changed(PROVENANCE, command=f"wsproof audit --{scenario}"),
    )
