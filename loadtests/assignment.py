"""What one Locust process is told to do in one repeat: everything it needs, nothing to guess."""

from pathlib import Path

import msgspec

from loadtests.addresses import Allotment
from loadtests.schedule.course import Point
from loadtests.schedule.curve import warp
from loadtests.schedule.replay import Schedule, load_trace
from monitor.contract.target import Target, load_target


class Assignment(msgspec.Struct, frozen=True):
    """One repeat of one scenario.

    `run` is the text that marks the repeat's events; `clients` how many seats are waited for, 0 if
    Locust will say; `point` what is offered; `folder` holds its timetable and what it
    leaves behind. Where `workers` processes share the clients, they are numbered from
    `first_client` in each. It carries tokens, so its file is readable by its owner only.
    """

    run: str
    repeat: int
    scenario: str
    profile: str
    url: str
    peer: tuple[str, int]
    subscribe_token: str | None
    publish_token: str | None
    clients: int
    point: Point
    pipelines: int
    connect_s: float
    drain_s: float
    late_us: float
    trace: str
    first_address: int | None
    clients_per_address: int
    connections: int
    folder: str
    first_client: int = 0
    workers: int = 1

    @property
    def target(self) -> Target:
        """The target at the address it has now."""
        return load_target(Path(self.profile)).at(self.url)

    @property
    def allotment(self) -> Allotment:
        """Where each client connects from."""
        return Allotment(
            self.first_address, self.clients_per_address, self.connections, self.first_client
        )

    @property
    def timetable(self) -> Path:
        """The shared schedule."""
        return Path(self.folder) / "timetable"

    @property
    def part(self) -> Path:
        """What the Locust process leaves behind."""
        return Path(self.folder) / "part.json"

    def save(self, path: Path) -> None:
        """Write the assignment for another process."""
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(msgspec.json.encode(self))


def load_assignment(path: Path) -> Assignment:
    """Read an assignment back."""
    return msgspec.json.decode(path.read_bytes(), type=Assignment)


def load_schedule(assignment: Assignment) -> Schedule:
    """Work out the assignment's schedule: conductor and publisher come to the same one."""
    point = assignment.point
    seconds = point.warmup_s + point.window_s
    rate = point.peak_rate
    trace = load_trace(Path(assignment.trace))
    # Any stretch may hold up to one loop of the trace more than the mean rate says.
    count = int(seconds * rate) + len(trace.events) * assignment.pipelines
    schedule = trace.schedule(rate, count, assignment.pipelines)
    offsets_ns = schedule.offsets_ns
    if len(set(point.rate)) > 1:
        due_s = warp(offsets_ns / 1e9, rate, point.rate, -point.warmup_s, point.window_s)
        offsets_ns = (due_s * 1e9).astype(offsets_ns.dtype)
    planned = int(offsets_ns.searchsorted(int(seconds * 1e9)))
    return Schedule(offsets_ns[:planned], schedule.recorded[:planned])
