"""One repeat, with real processes and sockets, against servers that do right and wrong."""

import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from loadtests.accounting.histogram import Recorder
from loadtests.plan import Plan
from loadtests.results import Progress, RepeatResult
from loadtests.sampler import HOST, OTHERS
from loadtests.validity import Calibration, judge_run
from monitor.contract.launch import Launch
from monitor.contract.verdicts import RunVerdict
from tests.loadtests.conftest import KNOWN_SERVER, NULL_SERVER, Driven
from tests.loadtests.starving import starving

pytestmark = pytest.mark.slow

Profile = Callable[..., Path]
MakePlan = Callable[..., Plan]
Drive = Callable[..., Driven]


def faults(result: RepeatResult, period: int) -> int:
    """How many measured events a fault of this period hit; events are numbered from 0."""
    first, end = result.passage.first, result.passage.first + result.passage.scheduled
    return sum(number % period == period - 1 for number in range(first, end))


def test_a_correct_server_delivers_everything_once_and_in_order(
    profile: Profile, plan: MakePlan, drive: Drive
) -> None:
    driven = drive(plan(profile(NULL_SERVER)))
    result, part = driven.result, driven.result.part
    assert (part.offered, part.admitted, part.held, part.refused) == (4, 4, 4, 0)
    assert result.passage.sent == result.passage.scheduled == 300
    assert part.expected == part.received == 1200
    assert (part.lost, part.thinned, part.duplicated, part.reordered) == (0, 0, 0, 0)
    assert Recorder.restore(part.response).count == Recorder.restore(part.service).count == 1200
    assert sum(interval.received for interval in part.intervals.values()) == 1200
    roles = {sample.role for sample in driven.samples}
    # The sampler runs when nobody else does: of who lives for seconds it may see nothing.
    assert {"target", "generator"} <= roles <= {"target", "generator", "publisher", HOST, OTHERS}
    response, service = Recorder.restore(part.response), Recorder.restore(part.service)
    assert response.min_ns is not None
    assert response.min_ns > 0
    assert response.sum_ns > service.sum_ns


def test_few_deliveries_are_counted_as_they_come_and_not_taken_for_lost(
    profile: Profile, plan: MakePlan, drive: Drive
) -> None:
    told: list[Progress] = []
    made = plan(profile(NULL_SERVER), clients=1, rate=100.0, window_s=2.0)
    driven = drive(made, lambda _launch, progress, _locust: told.append(progress))
    assert driven.result.part.lost == 0
    last = [one for one in told if one.phase == "measuring"][-1]
    assert last.p50_us is not None
    assert last.p99_us is not None


# Delays, losses, duplicates, reordering: the calibration holds each against the server's account.
def test_what_a_service_says_it_left_out_is_counted_apart_from_losses(
    profile: Profile, plan: MakePlan, drive: Drive
) -> None:
    part = (result := drive(plan(profile([*KNOWN_SERVER, "thin=7"]))).result).part
    hit = faults(result, 7) * part.admitted
    assert hit > 100
    # The service announces what it left out during warm-up too; it cannot excuse more.
    assert (part.thinned, part.lost, part.duplicated) == (hit, 0, 0)
    assert part.expected == part.received + part.thinned
    assert part.held == 0


def test_a_starved_publisher_makes_the_run_invalid(
    profile: Profile, plan: MakePlan, drive: Drive
) -> None:
    made = plan(profile(NULL_SERVER))
    with starving(lambda locust: locust.children()[0]) as starve:
        result = drive(made, starve).result
    assert result.passage.late_ours > result.passage.scheduled / 10
    judged = judge_run(
        [result],
        calibration=Calibration({"response_mean_us": 100}),
        bounds_us=made.bounds_us,
        load_average=0,
        cores=2,
        interrupted=False,
    )
    assert judged.verdict is RunVerdict.INVALID
    assert "by its own fault" in judged.reasons[0]
    assert result.part.lost == 0


def test_a_publisher_that_is_killed_makes_the_run_invalid(
    profile: Profile, plan: MakePlan, drive: Drive
) -> None:
    def kill(_launch: Launch, progress: Progress, locust: psutil.Process) -> None:
        if progress.phase == "measuring":
            for child in locust.children():
                child.kill()

    result = drive(plan(profile(NULL_SERVER)), kill).result
    assert result.publisher_died
    assert result.passage.unsent_ours > 0


def test_a_target_that_stops_reading_is_to_blame_for_what_is_sent_late(
    profile: Profile, plan: MakePlan, drive: Drive, tmp_path: Path
) -> None:
    stopped = threading.Event()

    def stall(launch: Launch, progress: Progress, _locust: psutil.Process) -> None:
        if progress.phase == "measuring" and not stopped.is_set():
            stopped.set()
            target = psutil.Process(launch.pid)
            target.send_signal(signal.SIGSTOP)
            threading.Timer(1.0, target.send_signal, (signal.SIGCONT,)).start()

    # Events so large that the sockets' buffers fill within the pause.
    event = {"type": "phase_progress", "phase": "lint", "message": "x" * 200_000}
    large = tmp_path / "large.jsonl"
    header = {"format": 1, "source": "a test", "events": 1}
    large.write_text("\n".join(map(json.dumps, [header, {"at_us": 0, "event": event}])))
    made = plan(profile(NULL_SERVER), trace=large, clients=1, rate=100.0)
    result = drive(made, stall).result
    assert result.passage.pushed_back > 0
    assert result.passage.late > result.passage.late_ours
    assert result.passage.late_ours + result.passage.unsent_ours < result.passage.pushed_back
    assert result.part.lost == 0
