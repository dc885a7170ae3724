"""`wsproof doctor`: readings of a machine, what is made of them, and the command itself."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.examination import PROGRAMS, State, examine
from scripts.host import Host, read_host

GOOD = Host(
    system="linux",
    cores=4,
    load_average=0.5,
    open_files=(65_536, None),
    somaxconn=4096,
    receive_buffer_bytes=4_194_304,
    ephemeral_ports=28_232,
    loopback_range=True,
    governor="performance",
    real_time=True,
    programs={one.name: f"/usr/bin/{one.name}" for one in PROGRAMS},
)


def test_a_machine_that_has_everything_is_told_nothing_to_do() -> None:
    findings = examine(GOOD)
    assert {one.state for one in findings} == {State.FINE}
    assert not any(one.mend for one in findings)


@pytest.mark.parametrize(
    ("change", "name", "state", "mend"),
    [
        ({"open_files": (64, None)}, "open files", State.MISSING, "ulimit -n 4096"),
        ({"open_files": (1024, 2048)}, "open files", State.ADVICE, "the hard limit is 2048"),
        ({"loopback_range": False}, "loopback addresses", State.MISSING, "ifconfig lo0 alias"),
        ({"somaxconn": 128}, "listen backlog", State.ADVICE, "net.core.somaxconn=4096"),
        ({"receive_buffer_bytes": 212_992}, "receive buffer", State.ADVICE, "rmem_max=4194304"),
        ({"ephemeral_ports": 1000}, "ephemeral ports", State.ADVICE, "ip_local_port_range"),
        ({"cores": 1}, "cores", State.ADVICE, "a machine with more"),
        ({"load_average": 5.0}, "load average", State.ADVICE, "top"),
        ({"governor": "powersave"}, "CPU governor", State.ADVICE, "frequency-set -g performance"),
        ({"real_time": False}, "real-time priority", State.ADVICE, "rtprio"),
        ({"programs": {}}, "chromium", State.MISSING, "apt-get install -y chromium"),
        ({"programs": {}, "system": "darwin"}, "node", State.MISSING, "install nodejs"),
    ],
)
def test_each_lack_is_named_with_what_mends_it(
    change: dict[str, object], name: str, state: State, mend: str
) -> None:
    found = {one.name: one for one in examine(replace(GOOD, **change))}  # type: ignore[arg-type]
    assert found[name].state is state
    assert mend in found[name].mend


def test_of_a_small_receive_buffer_it_says_what_comes_of_it() -> None:
    small = examine(replace(GOOD, receive_buffer_bytes=212_992))
    (found,) = (one for one in small if one.name == "receive buffer")
    assert "a run is INVALID once a quarter of one is unread" in found.wanted
    assert "fewer clients a process (--workers)" in found.mend


def test_what_a_system_does_not_have_is_not_held_against_it() -> None:
    bare = replace(
        GOOD,
        open_files=(None, None),
        somaxconn=None,
        receive_buffer_bytes=None,
        ephemeral_ports=None,
        governor=None,
        real_time=None,
    )
    assert {one.state for one in examine(bare)} == {State.FINE}


def test_readings_are_the_kernels_own_and_absent_where_it_has_none(tmp_path: Path) -> None:
    core = tmp_path / "proc/sys/net/core"
    core.mkdir(parents=True)
    (core / "somaxconn").write_text("128\n")
    for number, governor in enumerate(("performance", "powersave", "powersave")):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{number}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(f"{governor}\n")
    host = read_host(["sh", "no-such-program"], tmp_path)
    assert host.somaxconn == 128
    assert host.governor == "performance, powersave"
    assert host.receive_buffer_bytes is host.ephemeral_ports is None
    assert host.programs["sh"]
    assert host.programs["no-such-program"] is None


@pytest.mark.slow
def test_the_command_exits_by_what_is_missing() -> None:
    command = [sys.executable, "-m", "scripts.wsproof", "doctor"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    outcome = json.loads(done.stdout)
    missing = [one for one in outcome["findings"] if one["state"] == "missing"]
    assert done.returncode == outcome["exit_code"] == (1 if missing else 0)
    wrong = subprocess.run(
        [*command, "--for", "nothing"], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 2
    assert "--for nothing: unknown; there are: audit, load, serve, test" in wrong.stderr


@pytest.mark.slow
def test_too_few_descriptors_are_missing_for_load() -> None:
    command = f"ulimit -n 100; exec {sys.executable} -m scripts.wsproof doctor --for load"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "missing  load, serve  open files: 100" in done.stdout
    assert "ulimit -n 4096" in done.stdout
