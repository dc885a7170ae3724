"""Receivers that were kept from their core make a run INVALID, however punctual the publisher."""

from collections.abc import Callable
from pathlib import Path

import pytest

from loadtests.plan import Plan
from loadtests.validity import Calibration, judge_run
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
