"""Receivers that were kept from their core: what it does to the run, and what piled up unread."""

import contextlib
import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from loadtests.plan import Plan
from loadtests.results import Progress
from loadtests.validity import QUEUE_FILL_PERCENT, Calibration, judge_run, reasons_against
from monitor.contract.launch import Launch
from monitor.contract.verdicts import RunVerdict
from tests.loadtests.conftest import NULL_SERVER, Driven
from tests.loadtests.starving import starving

pytestmark = pytest.mark.slow


def test_starved_receivers_make_the_run_invalid(
    profile: Callable[..., Path], plan: Callable[..., Plan], drive: Callable[..., Driven]
) -> None:
    made = plan(profile(NULL_SERVER))
    with starving(lambda locust: locust) as starve:
        result = drive(made, starve).result
    assert result.part.loop_lag["max_ns"] > 30_000_000
    judged = judge_run(
        [result],
        calibration=Calibration({"response_mean_us": 100}),
        bounds_us=made.bounds_us,
        load_average=0,
        cores=2,
        interrupted=False,
    )
    assert judged.verdict is RunVerdict.INVALID
    assert any("the receivers themselves read" in reason for reason in judged.reasons)


def test_what_piles_up_while_the_receivers_are_away_is_found_and_judged(
    profile: Callable[..., Path],
    plan: Callable[..., Plan],
    drive: Callable[..., Driven],
    tmp_path: Path,
) -> None:
    stopped: list[threading.Timer] = []

    def pause(_launch: Launch, progress: Progress, locust: psutil.Process) -> None:
        if progress.phase == "measuring" and not stopped:
            locust.send_signal(signal.SIGSTOP)
            stopped.append(threading.Timer(1.0, resume, (locust,)))
            stopped[0].start()

    def resume(locust: psutil.Process) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            locust.send_signal(signal.SIGCONT)

    # A second of it is more than any receive queue takes.
    event = {"type": "phase_progress", "phase": "lint", "message": "x" * 200_000}
    large = tmp_path / "large.jsonl"
    header = {"format": 1, "source": "a test", "events": 1}
    large.write_text("\n".join(map(json.dumps, [header, {"at_us": 0, "event": event}])))
    made = plan(profile(NULL_SERVER), trace=large, clients=2, rate=100.0, window_s=2.0)
    steady, paused = drive(made).result.part, drive(made, pause).result
    part = paused.part
    assert (steady.unread_max_bytes or 0) > 200_000
    assert (part.unread_p99_bytes or 0) > (steady.unread_p99_bytes or 0)
    assert (part.queue_fill_max_percent or 0) >= QUEUE_FILL_PERCENT
    assert (part.receive_room_bytes or 0) > 0
    reasons = reasons_against(paused, made.bounds_us)
    assert any("a receive buffer of the generator was" in one for one in reasons)
