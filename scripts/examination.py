"""Judges a machine's readings: what it lacks for which command, and the command that mends it.

Pure: the readings are passed in. What is missing stops a command or makes its run INVALID; what
is advised makes figures better or larger loads possible.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from loadtests.bounds import RECEIVE_BUFFER_BYTES, SPARE_DESCRIPTORS
from loadtests.scenarios import find
from scripts.host import Host

#: Connections that may arrive together: a storm of a few hundred, with room.
_BACKLOG = 1024

#: Enough descriptors for a thousand clients and for the target beside them.
_GENEROUS_FILES = 4096

#: A storm of 1,000 connections a second from one address, each a minute in TIME-WAIT, needs more;
#: from eight addresses, as limits make it, this is enough.
_PORTS = 10_000


class State(StrEnum):
    """How a reading stands: good, could be better, or too little."""

    FINE = "fine"
    ADVICE = "advice"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: for which command, what was found, what it needs, what mends it."""

    name: str
    command: str
    state: State
    found: str
    wanted: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """One program of the system: which command cannot do without it, and what installs it."""

    name: str
    command: str
    purpose: str
    package: str


PROGRAMS = (
    Program("chromium", "test, audit", "the dashboard shown in a real browser", "chromium"),
    Program("node", "test", "the dashboard's own tests and a foreign service", "nodejs"),
    Program("npm", "test", "the accessibility tests and a foreign service", "npm"),
    Program("nginx", "test", "a foreign service: a broker", "nginx libnginx-mod-nchan"),
    Program("openssl", "test", "certificates for the tests of TLS", "openssl"),
    Program("ip", "test", "load from two network namespaces", "iproute2"),
)


def examine(host: Host) -> list[Finding]:
    """Return everything there is to say of a machine, in a fixed order."""
    return [*_limits(host), *_kernel(host), *_time(host), *_programs(host)]


def _limits(host: Host) -> Iterator[Finding]:
    soft, hard = host.open_files
    least = find("chapter").clients + SPARE_DESCRIPTORS
    enough = soft is None or soft >= _GENEROUS_FILES
    few = soft is not None and soft < least
    most = "" if hard is None or hard >= _GENEROUS_FILES else f" (the hard limit is {hard})"
    yield Finding(
        "open files",
        "load, serve",
        State.FINE if enough else State.MISSING if few else State.ADVICE,
        "unlimited" if soft is None else str(soft),
        f"{least} for the chapter's load, {_GENEROUS_FILES} for a thousand clients",
        "" if enough else f"ulimit -n {_GENEROUS_FILES}{most}",
    )
    yield Finding(
        "loopback addresses",
        "load, audit",
        State.FINE if host.loopback_range else State.MISSING,
        "all of 127.0.0.0/8" if host.loopback_range else "127.0.0.1 only",
        "one source address for every few clients, so that limits by address stay on",
        "" if host.loopback_range else "sudo ifconfig lo0 alias 127.16.0.1  # and so on, one each",
    )


def _kernel(host: Host) -> Iterator[Finding]:
    yield _at_least(
        "listen backlog",
        host.somaxconn,
        _BACKLOG,
        "for storms of connections",
        "sudo sysctl -w net.core.somaxconn=4096",
    )
    yield _at_least(
        "receive buffer",
        host.receive_buffer_bytes,
        RECEIVE_BUFFER_BYTES,
        "bytes, so that a pause of the generator does not push back on the target: a run is"
        " INVALID once a quarter of one is unread",
        f"sudo sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}"
        "  # or fewer clients a process (--workers)",
    )
    yield _at_least(
        "ephemeral ports",
        host.ephemeral_ports,
        _PORTS,
        "an address, for storms and churn",
        'sudo sysctl -w net.ipv4.ip_local_port_range="10240 65535"',
    )


def _at_least(name: str, reading: int | None, wanted: int, why: str, mend: str) -> Finding:
    """A kernel setting that only larger loads need: advice if it is too small."""
    enough = reading is None or reading >= wanted
    return Finding(
        name,
        "load",
        State.FINE if enough else State.ADVICE,
        "not limited here" if reading is None else str(reading),
        f"{wanted} {why}",
        "" if enough else mend,
    )


def _time(host: Host) -> Iterator[Finding]:
    yield Finding(
        "cores",
        "load",
        State.FINE if host.cores >= 2 else State.ADVICE,
        str(host.cores),
        "2: target and generator wait for each other on one",
        "" if host.cores >= 2 else "run it on a machine with more",
    )
    busy = host.load_average > host.cores
    yield Finding(
        "load average",
        "load",
        State.ADVICE if busy else State.FINE,
        f"{host.load_average:.1f}",
        f"{host.cores} or less before a run, or it is SUSPECT",
        "wait, or end what keeps the machine busy: `top`" if busy else "",
    )
    slow = host.governor is not None and host.governor != "performance"
    yield Finding(
        "CPU governor",
        "load",
        State.ADVICE if slow else State.FINE,
        host.governor or "none to set here",
        "performance: a clock that speeds up late adds to every latency",
        "sudo cpupower frequency-set -g performance" if slow else "",
    )
    yield Finding(
        "real-time priority",
        "load",
        State.ADVICE if host.real_time is False else State.FINE,
        {True: "permitted", False: "not permitted", None: "not on this system"}[host.real_time],
        "permitted: events go out on time although the cores are busy",
        "sudo prlimit --pid $$ --rtprio=1  # for this shell" if host.real_time is False else "",
    )


def _programs(host: Host) -> Iterator[Finding]:
    install = "sudo apt-get install -y" if host.system == "linux" else "install"
    for one in PROGRAMS:
        path = host.programs.get(one.name)
        yield Finding(
            one.name,
            one.command,
            State.FINE if path else State.MISSING,
            path or "not found",
            one.purpose,
            "" if path else f"{install} {one.package}",
        )
