"""Runs a plan from beginning to end: target, calibration, repeats, evidence.

Whatever happens on the way, everything started is ended, and what was measured is written:
an interruption makes the run INVALID, not lost.
"""

import contextlib
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil

import loadtests
from loadtests import record
from loadtests.addresses import Allotter
from loadtests.bench import Sampling, interruptible, run_locust
from loadtests.extent import CALIBRATION_RATE, CALIBRATION_WARMUP_S, CALIBRATION_WINDOW_S
from loadtests.figures import Measured, null_figures, repeat_metrics
from loadtests.hostload import noted
from loadtests.objectives import kept, known
from loadtests.plan import Plan, check_point, peer_of
from loadtests.record import Clock
from loadtests.results import Progress, RepeatResult
from loadtests.sampler import Watch
from loadtests.scenarios import Outcome
from loadtests.schedule.course import Point, steady
from loadtests.validity import Calibration, believable, judge_run
from monitor.contract import provenance
from monitor.contract.evidence import RunWriter, new_run_id
from monitor.contract.launch import Launch
from monitor.contract.target import load_target
from monitor.contract.verdicts import NoVerdictError

_ROOM = Path(loadtests.__file__).parent
_NULL_PROFILE = _ROOM / "nullserver.toml"

Tell = Callable[[int, Progress], None]


class Evidence:
    """Context manager: a run folder in the making and the conditions it began under."""

    def __init__(self, plan: Plan, runs: Path, command: str, seed: int) -> None:
        self._seed = seed
        self.run_id = new_run_id("load", plan.scenario.name())
        self._writer = RunWriter(runs, self.run_id)
        self._clock = Clock(time.monotonic_ns(), datetime.now(UTC))
        self._load_average = os.getloadavg()[0]
        measured_code = Path(provenance.__file__).parents[1]
        self._collector = provenance.Collector(command, seed, measured_code, plan.target.path)

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.__exit__(kind, error, trace)

    def conclude(
        self,
        plan: Plan,
        url: str,
        results: list[RepeatResult],
        sampling: Sampling,
        *,
        calibration: Calibration | None,
        deaths: int,
        interrupted: bool,
    ) -> Path:
        """Judge the run, write it, and return its folder; `plan` as it was carried out."""
        samples = tuple(sampling.samples())
        results = [noted(result, samples) for result in results]
        judgement = judge_run(
            results,
            calibration=calibration,
            bounds_us=plan.bounds_us,
            load_average=self._load_average,
            cores=os.cpu_count() or 1,
            interrupted=interrupted,
            deaths=deaths,
            doubts=plan.scenario.doubts(plan.asked, results),
        )
        measured = Measured(
            tuple(results),
            samples,
            calibration,
            deaths,
            self._seed,
            plan.scenario,
            plan.asked,
        )
        made = self._collector.finish()
        return record.write(
            self._writer, self.run_id, plan, url, measured, judgement, made, self._clock
        )


def measure(plan: Plan, runs: Path, *, command: str, seed: int, ui: bool, tell: Tell) -> Path:
    """Measure and return the run folder; `tell` gets the repeat (0: calibration) and progress.

    Raises:
        UsageError: the runs folder cannot be written, or there are too few source addresses.
        NoVerdictError: the target never became ready, or Locust left nothing.
    """
    folder = Path(tempfile.mkdtemp(prefix="wsproof-load-"))
    try:
        with (
            interruptible(),
            Evidence(plan, runs, command, seed) as evidence,
            Sampling(folder) as sampling,
        ):
            return _Session(plan, evidence, sampling, folder, ui=ui, tell=tell).run()
    finally:
        shutil.rmtree(folder)


class _Session:
    """One run in progress."""

    def __init__(
        self,
        plan: Plan,
        evidence: Evidence,
        sampling: Sampling,
        folder: Path,
        *,
        ui: bool,
        tell: Tell,
    ) -> None:
        self._plan = plan
        self._evidence = evidence
        self._sampling = sampling
        self._folder = folder
        self._ui = ui
        self._tell = tell
        self._results: list[RepeatResult] = []
        self._calibration: Calibration | None = None
        self._deaths = 0

    def run(self) -> Path:
        interrupted = False
        url = self._plan.target.url
        peer_of(self._plan.target, self._plan.allowed_hosts)  # refused before anything is started
        with Launch(self._plan.target, self._plan.allowed_hosts) as launch:
            url = launch.target.url
            self._sampling.watch(Watch(0, launch.pid))
            peer = peer_of(launch.target, self._plan.allowed_hosts)
            if launch.target.start is None:
                knock(url, peer)
            try:
                self._calibrate()
                self._repeat_all(launch, peer)
            except KeyboardInterrupt:
                interrupted = True
        interrupted = interrupted or any(result.interrupted for result in self._results)
        return self._evidence.conclude(
            self._plan,
            url,
            self._results,
            self._sampling,
            calibration=self._calibration,
            deaths=self._deaths,
            interrupted=interrupted,
        )

    def _calibrate(self) -> None:
        """Drive the null server with the same clients and rate, or the least that will do."""
        target = load_target(_NULL_PROFILE)
        plan = msgspec.structs.replace(
            self._plan,
            target=target,
            rate=max(self._plan.rate, CALIBRATION_RATE),
            warmup_s=CALIBRATION_WARMUP_S,
            window_s=CALIBRATION_WINDOW_S,
            repeats=1,
        )
        with Launch(target) as launch:
            point = steady(plan.clients, plan.rate, plan.warmup_s, plan.window_s)
            allotment = plan.allotment(plan.allotter("127.0.0.1"), point)
            folder = self._subfolder(0)
            tokens = (None, None)
            assignment = plan.assignment(0, folder, launch.target, allotment, tokens, point)
            result = run_locust(
                assignment, folder, ui=False, on_start=_ignore, tell=lambda one: self._tell(0, one)
            )
        if result.interrupted:
            raise KeyboardInterrupt
        figures = null_figures(result)
        if not figures:
            said = "; ".join(result.faults) or result.publisher_fault or "nothing arrived"
            raise NoVerdictError(
                f"calibration: the null server delivered nothing ({said}); this host cannot"
                " measure: look for a firewall on loopback or missing source addresses"
            )
        self._calibration = Calibration(figures)

    def _repeat_all(self, launch: Launch, peer: tuple[str, int]) -> None:
        """Measure what the scenario offers, step by step, until it has had enough."""
        allotter = self._plan.allotter(peer[0])
        tokens = (launch.token("subscribe"), launch.token("publish"))
        steps = self._plan.scenario.steps(self._plan.asked)
        point: Point | None = next(steps)
        while point is not None:
            check_point(self._plan, point)
            result = self._repeat(launch, allotter, tokens, point)
            if not alive(launch, peer):
                self._deaths += 1
                return  # a dead target cannot be measured; what it did not deliver is counted
            if result.interrupted:
                return
            try:
                point = steps.send(Outcome(result.kept, result.believed))
            except StopIteration:
                point = None

    def _repeat(
        self,
        launch: Launch,
        allotter: Allotter,
        tokens: tuple[str | None, str | None],
        point: Point,
    ) -> RepeatResult:
        number = len(self._results) + 1
        folder = self._subfolder(number)
        allotment = self._plan.allotment(allotter, point)
        target = launch.target
        assignment = self._plan.assignment(number, folder, target, allotment, tokens, point)
        locust: list[int] = []

        def watch() -> None:
            self._sampling.watch(Watch(number, launch.pid, *locust))

        def on_start(pid: int) -> None:
            locust.append(pid)
            watch()

        def on_restart() -> None:
            # A target that does not come back is a figure: nobody returns, and it counts as dead.
            with contextlib.suppress(NoVerdictError):
                launch.restart()
            watch()

        result = run_locust(
            assignment,
            folder,
            ui=self._ui,
            on_start=on_start,
            tell=lambda one: self._tell(number, one),
            on_restart=on_restart,
        )
        self._sampling.watch(Watch(number, launch.pid))
        samples = self._sampling.samples()
        result = noted(result, samples)
        figures = repeat_metrics(result, samples)
        sought = self._plan.sought
        held = kept(sought, figures)
        # A figure that could not be had, for too few events, tells as little as one of no worth.
        trusted = known(sought, figures) and believable(result, self._plan.bounds_us)
        result = msgspec.structs.replace(
            result,
            kept=held,
            believed=trusted,
            counted=point.counted and ((held and trusted) or not point.trial),
        )
        self._results.append(result)
        return result

    def _subfolder(self, number: int) -> Path:
        folder = self._folder / f"repeat-{number}"
        folder.mkdir(mode=0o700)
        return folder


def _ignore(_pid: int) -> None:
    """The null server's generator is not sampled."""


def alive(launch: Launch, peer: tuple[str, int]) -> bool:
    """Tell whether the target still runs: by its process, or, if none is known, by its port."""
    if launch.target.start is not None:
        return launch.alive()
    if launch.pid is not None:
        return psutil.pid_exists(launch.pid)
    try:
        socket.create_connection(peer, timeout=5).close()
    except ConnectionRefusedError:
        return False
    except OSError:
        pass  # full, or far away: nothing that says it is gone
    return True


def knock(url: str, peer: tuple[str, int]) -> None:
    """Make sure that a service we did not start is there at all."""
    try:
        socket.create_connection(peer, timeout=5).close()
    except OSError as error:
        raise NoVerdictError(
            f"target {url}: not reachable: {error.strerror or error}; start it, or give its"
            " profile a [start] table"
        ) from error
