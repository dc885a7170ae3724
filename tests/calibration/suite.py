"""The calibration suite: what the load harness reports, held against what was really done.

`wsproof load` drives a server whose behaviour changes from repeat to repeat and which writes down
when it wrote what. Events are due on an even schedule, so arithmetic gives the instant each was
due, up to one unknown start, and the server's own account gives each response time up to the
write. What the harness reports beyond that is its own; the repeats in which the server delays
nothing say how much that is on this host.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from monitor.contract.evidence import Histogram, Repeat, Run, load_run
from tests.calibration.closed_loop import ClosedLoop

WSPROOF = [sys.executable, "-m", "scripts.wsproof", "load", "chapter"]
KNOWN_SERVER = ["{python}", "-m", "tests.calibration.known_server"]

NULL = "null"
DELAYS = ("constant=0.02", "bimodal=0.002:0.05:0.1", "log-normal=0.005:0.6")
FAULTS = "lose=97,double=89,swap=83"
STALL_S = 0.5

PERCENTILES = (50.0, 99.0, 99.9)

#: What an injected latency may come back as, beyond the null repeats' own.
RELATIVE = 0.01
ABSOLUTE_US = 50.0

#: More than one Python process sends on time on any machine we know: the most that is accepted.
_OVERLOAD_RATE = 50_000


#: A single repeat of some seconds has a tail of a few events; five have a median.
_MEAN = dict.fromkeys(PERCENTILES, "mean")
_OWN_TAIL = {50.0: "mean", 99.0: "p99", 99.9: "max"}


@dataclass(frozen=True)
class Form:
    """How much is measured; 10,000 events and more in a window, so that p99.9 can be judged."""

    clients: int
    rate: int
    warmup_s: float
    window_s: float
    cycles: int
    #: What else a percentile may come back as: how late the receivers of that repeat say they
    #: read, by this statistic. A short form is also for a machine where somebody else has a core.
    lag: dict[float, str]

    @property
    def behaviours(self) -> tuple[str, ...]:
        """One behaviour a repeat: null repeats stand around those with delays."""
        stall = f"stall={round(self.rate * (self.warmup_s + self.window_s / 4))}:{STALL_S}"
        return (NULL, *DELAYS) * self.cycles + (NULL, stall, FAULTS)


SHORT = Form(clients=2, rate=4000, warmup_s=0.2, window_s=2.6, cycles=1, lag=_OWN_TAIL)
FULL = Form(clients=10, rate=1000, warmup_s=1.0, window_s=12.0, cycles=5, lag=_MEAN)


@dataclass(frozen=True)
class Finding:
    """One comparison: `measured` should lie within `least` and `most`."""

    what: str
    truth: float
    measured: float
    least: float
    most: float
    unit: str

    @property
    def holds(self) -> bool:
        return self.least <= self.measured <= self.most


@dataclass(frozen=True)
class Calibrated:
    """All findings of one calibration and the verdict of the run they are from."""

    findings: tuple[Finding, ...]
    run: str
    verdict: str


@dataclass(frozen=True)
class Trial:
    """One repeat: what the harness reports of it, and the server's account."""

    reported: Repeat
    response: HdrHistogram
    behaviour: str
    account: dict[str, list[int]]
    events: NDArray[np.int64]
    #: The first event of the window, and one past the last.
    window: tuple[int, int]
    gap_ns: float

    @property
    def truth_us(self) -> NDArray[np.float64]:
        """Response times of the window's events, as far as their first byte's writing.

        The schedule's start is not known to the server: it is taken to be as late as the fastest
        event allows, which makes every figure too small by what that one took to come in.
        """
        number, read_at, written_at = self.events.T
        start = (read_at - number * self.gap_ns).min()
        first, end = self.window
        chosen = (number >= first) & (number < end) & (written_at > 0)
        response: NDArray[np.float64] = (written_at - number * self.gap_ns - start)[chosen] / 1000
        return response

    def count(self, fault: str) -> int:
        """How many of the window's events a fault hit."""
        first, end = self.window
        return sum(first <= number < end for number in self.account[fault])

    def later_than(self, limit_us: float) -> int:
        """How many deliveries took longer, by the harness's histogram."""
        return sum(
            item.count_added_in_this_iter_step
            for item in self.response.get_recorded_iterator()
            if item.value_iterated_to > limit_us
        )


def calibrate(form: Form, folder: Path, runs: Path) -> Calibrated:
    """Run the whole suite; `folder` gets its working files, `runs` the evidence."""
    run, trials = _drive(form, folder, runs)
    findings = [*_delays(form, trials), *_stall(form, trials), *_send_time_clock(form, folder)]
    findings += [*_faults(form, trials), *_overload(folder, runs)]
    return Calibrated(tuple(findings), run.record.id, str(run.record.verdict))


def _drive(form: Form, folder: Path, runs: Path) -> tuple[Run, list[Trial]]:
    log = folder / "known-server.json"
    behaviours = form.behaviours
    target = _profile(folder, [*KNOWN_SERVER, "--log", str(log), *behaviours])
    _, run = _load(
        *("--target", str(target), "--trace", str(_even_trace(folder)), "--runs", str(runs)),
        *("--clients", str(form.clients), "--rate", str(form.rate)),
        *("--warmup", str(form.warmup_s), "--duration", str(form.window_s)),
        *("--repeats", str(len(behaviours))),
    )
    accounts = json.loads(log.read_text())
    if len(accounts) != len(behaviours) or len(run.record.repeats) != len(behaviours):
        raise RuntimeError(
            f"{len(behaviours)} repeats were asked for; {len(run.record.repeats)} were made and"
            f" the server met {len(accounts)}: see {run.path}"
        )
    responses = {one.repeat: one for one in run.histograms() if one.name == "response"}
    trials = [
        _trial(form, repeat, responses[repeat.number], account)
        for repeat, account in zip(run.record.repeats, accounts, strict=True)
    ]
    return run, trials


def _trial(form: Form, reported: Repeat, response: Histogram, account: dict[str, object]) -> Trial:
    events = np.array(sorted(account["events"]), dtype=np.int64)  # type: ignore[call-overload]
    end = int(events[-1, 0]) + 1
    return Trial(
        reported=reported,
        response=HdrHistogram.decode(response.encoded),
        behaviour=str(account["behaviour"]),
        account=account,  # type: ignore[arg-type]
        events=events,
        window=(end - int(reported.metrics["events_scheduled"].value), end),
        gap_ns=1e9 / form.rate,
    )


def _delays(form: Form, trials: list[Trial]) -> Iterator[Finding]:
    """Injected distributions come back within 1 % + 50 µs beyond the null repeats' own."""
    for percent in PERCENTILES:
        own = sorted(_beyond(trial, percent) for trial in trials if trial.behaviour == NULL)
        # The worst of the null repeats, and as much again as they differ among themselves: an
        # A/A control, small on a quiet host. Of many, the outermost are left out, as the median
        # leaves them out on the other side.
        outer = len(own) // 4
        low, high = own[outer], own[-1 - outer]
        own_us = high + high - low
        yield Finding(
            f"null p{percent:g}, the harness's own", 0, float(np.median(own)), 0, own_us, "us"
        )
        for behaviour in DELAYS:
            chosen = [trial for trial in trials if trial.behaviour == behaviour]
            truth = float(np.median([np.percentile(trial.truth_us, percent) for trial in chosen]))
            beyond = float(np.median([_beyond(trial, percent) for trial in chosen]))
            allowed = RELATIVE * truth + ABSOLUTE_US
            # Where counting is dearer than in a null repeat, the receivers themselves say so.
            late_us = float(np.median([_lag_us(trial, form.lag[percent]) for trial in chosen]))
            yield Finding(
                f"{behaviour} p{percent:g}",
                truth,
                truth + beyond,
                truth - allowed,
                truth + own_us + late_us + allowed,
                "us",
            )


def _beyond(trial: Trial, percent: float) -> float:
    """What the harness reports beyond the truth, in µs."""
    reported = float(trial.response.get_value_at_percentile(percent))
    return reported - float(np.percentile(trial.truth_us, percent))


def _lag_us(trial: Trial, statistic: str) -> float:
    """How late the receivers of a repeat say they read, in µs; 0 where they cannot know.

    A percentile that too few samples stand behind is the largest instead.
    """
    metrics = trial.reported.metrics
    metric = metrics.get(f"receive_lag_{statistic}_us", metrics.get("receive_lag_max_us"))
    return metric.value if metric is not None else 0.0


def _stall(form: Form, trials: list[Trial]) -> Iterator[Finding]:
    """A stall is in the response time of everything that fell due meanwhile, as a ramp."""
    (trial,) = [trial for trial in trials if trial.behaviour.startswith("stall")]
    # The pause, and what the server then took to get to its first write.
    stalled_us = float(trial.truth_us.max())
    yield Finding(
        "longest response in a stall",
        stalled_us,
        trial.reported.metrics["response_max_us"].value,
        stalled_us * (1 - RELATIVE),
        stalled_us * (1 + RELATIVE) + form.clients * 1000 + _lag_us(trial, "max"),
        "us",
    )
    for limit_ms in (100, 200, 300, 400):
        truth = int((trial.truth_us > 1000 * limit_ms).sum()) * form.clients
        # Events due right before the limit may fall on either side of it: in the last
        # millisecond, or as late as the receivers say they were.
        beside_us = 1500 + _lag_us(trial, form.lag[99.9])
        near = int((np.abs(trial.truth_us - 1000 * limit_ms) < beside_us).sum()) * form.clients
        allowed = RELATIVE * truth + near
        yield Finding(
            f"deliveries over {limit_ms} ms in a stall",
            truth,
            trial.later_than(1000 * limit_ms),
            truth - allowed,
            truth + allowed,
            "deliveries",
        )


def _send_time_clock(form: Form, folder: Path) -> Iterator[Finding]:
    """The same stall, seen by a client that sends, waits, and counts from its own send."""
    stall = f"stall={form.rate // 4}:{STALL_S}"
    target = _profile(folder, [*KNOWN_SERVER, stall])
    times_us = ClosedLoop(target, form.rate).measure(events=form.rate)
    yield Finding(
        "events over 250 ms in the same stall, by a closed loop's send-time clock",
        1,
        sum(time_us > STALL_S / 2 * 1e6 for time_us in times_us),
        1,
        5,  # the machine may have stalled as well; of an open loop it would be hundreds
        "events",
    )


def _faults(form: Form, trials: list[Trial]) -> Iterator[Finding]:
    """Loss, duplicates and reordering are counted exactly."""
    (trial,) = [trial for trial in trials if trial.behaviour == FAULTS]
    for fault, metric in (("lost", "lost"), ("doubled", "duplicated"), ("swapped", "reordered")):
        truth = trial.count(fault) * form.clients
        measured = trial.reported.metrics[f"deliveries_{metric}"].value
        yield Finding(f"deliveries {metric}", truth, measured, truth, truth, "deliveries")


def _overload(folder: Path, runs: Path) -> Iterator[Finding]:
    """A generator asked for more than it can do is called INVALID, exit 3."""
    target = _profile(folder, [*KNOWN_SERVER, NULL])
    code, run = _load(
        *("--target", str(target), "--trace", str(_even_trace(folder)), "--runs", str(runs)),
        *("--clients", "2", "--rate", str(_OVERLOAD_RATE), "--warmup", "0.1"),
        *("--duration", "0.5", "--repeats", "1"),
    )
    invalid = run.record.verdict == "INVALID" and code == 3
    yield Finding("overloaded generators called INVALID", 1, int(invalid), 1, 1, "runs")


def _load(*arguments: str) -> tuple[int, Run]:
    """Run `wsproof load` and return its exit code and the evidence."""
    done = subprocess.run(
        [*WSPROOF, *arguments, "--json"], stdout=subprocess.PIPE, text=True, check=False
    )
    if not done.stdout:
        raise RuntimeError(f"wsproof load {' '.join(arguments)}: ended with {done.returncode}")
    return done.returncode, load_run(Path(json.loads(done.stdout)["evidence"]))


def _profile(folder: Path, command: list[str]) -> Path:
    path = folder / "known-server.toml"
    path.write_text(
        'name = "server of known behaviour"\nurl = "ws://127.0.0.1:1/"\n'
        f"[start]\ncommand = {json.dumps(command)}\n"
        "[publish]\nmessage = '{event}'\n"
    )
    return path


def _even_trace(folder: Path) -> Path:
    """One recorded event: replayed at any rate, it falls due at even distances."""
    path = folder / "even.jsonl"
    event = {"type": "phase_progress", "phase": "calibration", "progress": 1}
    lines = [{"format": 1, "source": "calibration", "events": 1}, {"at_us": 0, "event": event}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def table(calibrated: Calibrated, tell: Callable[[str], None]) -> None:
    """Say what was found, one line a finding."""
    tell(f"{'what':68} {'truth':>10} {'measured':>10} {'allowed':>23}  unit")
    for one in calibrated.findings:
        allowed = f"{one.least:,.0f}–{one.most:,.0f}"
        said = "" if one.holds else "  FAILS"
        tell(
            f"{one.what:68} {one.truth:>10,.0f} {one.measured:>10,.0f} {allowed:>23}"
            f"  {one.unit}{said}"
        )
