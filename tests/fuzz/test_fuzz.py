"""The monitor under fuzz: no crash, no hang, no boundless memory. `make fuzz` goes on longer."""

import os
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from monitor.contract.target import load_target
from tests.fuzz.machine import Fuzzed, Machine

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "monitor" / "target.toml"

#: Seconds of a long run, and where it begins; without them the run is short and always the same.
LONG_S = float(os.environ.get("FUZZ_SECONDS", "0"))
FIRST_SEED = int(os.environ.get("FUZZ_SEED", "1"))

SETTINGS = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)

#: Whether something is found, not its shortest form.
BRIEF = settings(SETTINGS, phases=[Phase.generate])


@pytest.fixture(params=["plain", "compression"])
def fuzzed(request):
    """A monitor with short durations, as it is by default and with inbound compression."""
    target = load_target(REFERENCE).shortened()
    under_fuzz = Fuzzed(target if request.param == "plain" else target.variant(request.param))
    yield under_fuzz
    under_fuzz.close()


def test_no_peer_brings_the_monitor_down(fuzzed):
    ends = time.monotonic() + LONG_S / 2
    number = FIRST_SEED
    while True:
        run_state_machine_as_test(_seeded(fuzzed, number), settings=SETTINGS)
        number += 1
        if time.monotonic() >= ends:
            break
    print(f"{fuzzed.seen} examples, seeds {FIRST_SEED} to {number - 1}")
    assert fuzzed.seen >= SETTINGS.max_examples


def test_a_monitor_that_peers_can_bring_down_is_found_out(tmp_path):
    """The fuzzer bites: this one ends when a frame is not masked."""
    fragile = tmp_path / "fragile.py"
    fragile.write_text((ROOT / "tests" / "securitytests" / "fragile.py").read_text())
    target = load_target(REFERENCE).shortened()
    at = target.start.command.index("serve")
    command = ("{python}", str(fragile), *target.start.command[at + 1 :])
    start = msgspec.structs.replace(
        target.start, command=command, environment={"PYTHONPATH": str(ROOT)}
    )
    under_fuzz = Fuzzed(msgspec.structs.replace(target, start=start))
    try:
        with pytest.raises(AssertionError, match="the monitor ended"):
            run_state_machine_as_test(_seeded(under_fuzz, 1), settings=BRIEF)
    finally:
        under_fuzz.close()


def _seeded(fuzzed, number):
    def machine():
        return Machine(fuzzed)

    return seed(number)(machine)
