"""Targets that let nobody in, or say what they should not: nothing measured is never a pass."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loadtests.figures import repeat_values
from loadtests.results import RepeatResult
from tests.loadtests.commands import Folders, Profile

pytestmark = pytest.mark.slow

CONTRARY = ["{python}", "-m", "tests.loadtests.contrary"]
ROLES = """
[authentication]
methods = ["query"]
query_parameter = "role"
[tokens.publish]
command = ["echo", "pub"]
[tokens.subscribe]
command = ["echo", "sub"]
"""


def load(
    folders: Folders, profile: Path, trace: Path, *arguments: str
) -> tuple[int, dict[str, object]]:
    command = [sys.executable, "-m", "scripts.wsproof", "load", "chapter", "--json"]
    command += ["--target", str(profile), "--runs", str(folders.runs), "--trace", str(trace)]
    command += ["--clients", "4", "--rate", "200", "--warmup", "0.3", "--duration", "1.5"]
    command += ["--repeats", "1", *arguments]
    done = subprocess.run(
        command, env=folders.environment, capture_output=True, text=True, timeout=90, check=False
    )
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize(
    ("fault", "why", "workers"),
    [
        ("refuses all", "the publisher was refused: 403", "1"),
        ("refuses subscribers", "no client was let in: 403", "2"),
    ],
)
def test_a_target_that_lets_nobody_in_proves_nothing(
    profile: Profile, trace: Path, folders: Folders, fault: str, why: str, workers: str
) -> None:
    path = profile([*CONTRARY, fault], extra=ROLES)
    code, told = load(folders, path, trace, "--workers", workers)
    assert code == 3
    assert told["claims"]["objective: lost = 0"] == "UNPROVEN"  # type: ignore[index]
    (reason,) = (one for one in told["reasons"] if "nothing was measured" in one)  # type: ignore[attr-defined]
    assert why in reason
    assert "deliveries_lost" not in told["metrics"]  # type: ignore[operator]


@pytest.fixture
def result(
    profile: Profile, plan: Callable[..., object], drive: Callable[..., object]
) -> Callable[[str], RepeatResult]:
    def of(fault: str) -> RepeatResult:
        extra = 'thinned_count = "omitted"\n' + ROLES
        return drive(plan(profile([*CONTRARY, fault], extra=extra), rate=1000.0)).result  # type: ignore[attr-defined, no-any-return]

    return of


def test_a_percentile_takes_enough_events_that_arrived(
    result: Callable[[str], RepeatResult],
) -> None:
    few = result("sends few")
    assert few.passage.sent > 1_000
    values = repeat_values(few, ())
    assert "response_mean_us" in values
    assert not {"response_p50_us", "response_p90_us", "response_p99_us"} & values.keys()


def test_numbers_nothing_was_published_under_are_nobody_s_deliveries(
    result: Callable[[str], RepeatResult],
) -> None:
    altered = result("alters numbers")
    assert altered.faults == ()
    assert 0 < altered.part.received < altered.part.expected
    assert altered.part.lost == altered.part.expected - altered.part.received


def test_a_notice_that_cannot_be_read_excuses_nothing(
    result: Callable[[str], RepeatResult],
) -> None:
    silent = result("announces nonsense")
    assert silent.faults == ()
    assert silent.part.thinned == 0
    assert silent.part.lost == silent.part.expected > 0
