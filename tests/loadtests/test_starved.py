"""Receivers that were kept from their core make a run INVALID, however punctual the publisher."""

import contextlib
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from loadtests.plan import Plan
from loadtests.results import Progress
from loadtests.validity import Calibration, judge_run
from monitor.contract.launch import Launch
from monitor.contract.verdicts import RunVerdict
from tests.loadtests.conftest import NULL_SERVER, Driven

pytestmark = pytest.mark.slow


def test_starved_receivers_make_the_run_invalid(
    profile: Callable[..., Path], plan: Callable[..., Plan], drive: Callable[..., Driven]
) -> None:
    over = threading.Event()
    pulses: list[threading.Thread] = []

    def pulse(locust: psutil.Process) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):  # it ends before we are told
            while not over.wait(0.02):
                locust.send_signal(signal.SIGSTOP)
                over.wait(0.04)
                locust.send_signal(signal.SIGCONT)

    def starve(_launch: Launch, progress: Progress, locust: psutil.Process) -> None:
        if progress.phase == "measuring" and not pulses:
            pulses.append(threading.Thread(target=pulse, args=(locust,)))
            pulses[0].start()
        elif progress.phase == "draining":
            over.set()
            pulses[0].join()

    made = plan(profile(NULL_SERVER))
    try:
        result = drive(made, starve).result
    finally:
        over.set()
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
