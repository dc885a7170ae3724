"""Reads from this machine what the harness depends on. Reads only: nothing is changed.

A reading that this system does not have is None, never a guess.
"""

import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: An address of 127.0.0.0/8 that nothing else uses: bindable where the whole range is loopback.
_PROBE_ADDRESS = "127.16.0.1"

_ASK_FOR_REAL_TIME = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"


@dataclass(frozen=True, slots=True)
class Host:
    """One machine's readings; limits in the kernel's own units, buffers in bytes."""

    system: str
    cores: int
    load_average: float
    #: Soft and hard limit of this process; None is unlimited.
    open_files: tuple[int | None, int | None]
    somaxconn: int | None
    receive_buffer_bytes: int | None
    ephemeral_ports: int | None
    loopback_range: bool
    governor: str | None
    real_time: bool | None
    #: Path of each program, None if it is not there.
    programs: dict[str, str | None]


def read_host(programs: Iterable[str], root: Path = Path("/")) -> Host:
    """Read this machine, and where these programs are; `root` is where /proc and /sys are."""
    network = root / "proc/sys/net"
    ports = _words(network / "ipv4/ip_local_port_range")
    governors = sorted((root / "sys/devices/system/cpu").glob("cpu*/cpufreq/scaling_governor"))
    found = {word for governor in governors for word in _words(governor)}
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Host(
        system=sys.platform,
        cores=len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1,
        load_average=os.getloadavg()[0],
        open_files=(_limit(soft), _limit(hard)),
        somaxconn=_number(network / "core/somaxconn"),
        receive_buffer_bytes=_number(network / "core/rmem_max"),
        ephemeral_ports=int(ports[1]) - int(ports[0]) + 1 if len(ports) == 2 else None,
        loopback_range=_can_bind(_PROBE_ADDRESS),
        governor=", ".join(sorted(found)) or None,
        real_time=_may_be_real_time(),
        programs={name: shutil.which(name) for name in programs},
    )


def _limit(value: int) -> int | None:
    return None if value == resource.RLIM_INFINITY else value


def _words(path: Path) -> list[str]:
    """Return what a file of the kernel says; nothing where it is not there."""
    return path.read_text(encoding="ascii").split() if path.is_file() else []


def _number(path: Path) -> int | None:
    words = _words(path)
    return int(words[0]) if words else None


def _can_bind(address: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _may_be_real_time() -> bool | None:
    """Try it in a process of its own; None where the system has no such priority."""
    if sys.platform != "linux":
        return None
    asked = subprocess.run(
        [sys.executable, "-S", "-c", _ASK_FOR_REAL_TIME], stderr=subprocess.DEVNULL, check=False
    )
    return asked.returncode == 0
