"""Samples the resources of both sides ten times a second, from a process of its own.

`python -m loadtests.sampler OUT` reads JSON lines on stdin saying whose process trees to watch,
writes one JSON line a role and sample to OUT, and ends when its stdin closes. Target and
generator are never added together.
"""

import itertools
import os
import select
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import psutil

INTERVAL_S = 0.1

#: Memory of one's own (USS) and the shape of a tree are dearer to read: every fifth sample.
_THOROUGH_EVERY = 5

#: The sampler must not take a core from what it watches, not even for a few milliseconds.
_NICENESS = 19

_PUBLISHER = "loadtests.publishing.publisher"

#: Roles of samples that are about the machine: all its cores, and what was used of them by
#: processes that are neither side's. `processes` is then the number of cores.
HOST, OTHERS = "host", "others"


class Watch(msgspec.Struct, frozen=True):
    """What to watch from now on: process ids, and the repeat the samples belong to."""

    repeat: int
    target: int | None = None
    generator: int | None = None


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One sample of one role's processes; None where a figure cannot be read."""

    at_ns: int
    repeat: int
    role: str
    processes: int
    rss_bytes: int
    uss_bytes: int | None
    cpu_percent: float | None
    descriptors: int | None
    threads: int


class Tree:
    """The processes below one root, remembered between samples."""

    def __init__(self, role: str, root: int) -> None:
        self.role = role
        self.root = root
        self._members: list[tuple[str, psutil.Process]] = []
        self._cpu_s: dict[tuple[int, float], float] = {}
        self._at_ns: dict[str, int] = {}

    def discover(self) -> None:
        """Find the tree's processes; a publisher below a generator is a role of its own."""
        try:
            root = psutil.Process(self.root)
            found = [root, *root.children(recursive=True)]
        except psutil.Error:
            found = []
        known = {process: role for role, process in self._members}
        self._members = [(known.get(one) or self._role_of(one), one) for one in found]

    def sample(self, repeat: int, *, thorough: bool) -> Iterator[Sample]:
        """Yield one sample for each role that has a living process."""
        for role in dict.fromkeys(role for role, _ in self._members):
            members = [process for one, process in self._members if one == role]
            sample = self._sum(role, members, repeat, thorough=thorough)
            if sample is not None:
                yield sample

    def _role_of(self, process: psutil.Process) -> str:
        try:
            return "publisher" if _PUBLISHER in process.cmdline() else self.role
        except psutil.Error:
            return self.role

    def _sum(
        self, role: str, members: list[psutil.Process], repeat: int, *, thorough: bool
    ) -> Sample | None:
        living = rss = threads = uss = descriptors = 0
        cpu_s = 0.0
        readable = True
        at_ns = time.monotonic_ns()
        for process in members:
            try:
                with process.oneshot():
                    rss += process.memory_info().rss
                    threads += process.num_threads()
                    cpu_s += self._cpu_since(process)
                if thorough:
                    uss += process.memory_full_info().uss
                descriptors += process.num_fds()
            except psutil.AccessDenied:
                readable = False
            except psutil.Error:
                continue  # it ended between two readings
            living += 1
        if not living:
            return None
        before = self._at_ns.get(role)
        self._at_ns[role] = at_ns
        return Sample(
            at_ns=at_ns,
            repeat=repeat,
            role=role,
            processes=living,
            rss_bytes=rss,
            uss_bytes=uss if thorough and readable else None,
            cpu_percent=None if before is None else 100 * cpu_s / ((at_ns - before) / 1e9),
            descriptors=descriptors if readable else None,
            threads=threads,
        )

    def _cpu_since(self, process: psutil.Process) -> float:
        times = process.cpu_times()
        key = (process.pid, process.create_time())
        used = times.user + times.system
        before = self._cpu_s.get(key, used)
        self._cpu_s[key] = used
        return used - before


class Host:
    """The machine as a whole, remembered between samples."""

    def __init__(self) -> None:
        self._cores = psutil.cpu_count() or 1
        self._before: tuple[int, float, float] | None = None

    def sample(self, repeat: int, known: Sequence[Sample]) -> Iterator[Sample]:
        """Yield how busy it was, and with whom but for the `known` roles and this process."""
        now = (time.monotonic_ns(), _busy_s(), time.process_time())
        before, self._before = self._before, now
        if before is None:
            return
        seconds = (now[0] - before[0]) / 1e9
        busy_percent = 100 * (now[1] - before[1]) / seconds
        ours_percent = 100 * (now[2] - before[2]) / seconds
        ours_percent += sum(one.cpu_percent or 0.0 for one in known)
        for role, percent in ((HOST, busy_percent), (OTHERS, busy_percent - ours_percent)):
            yield Sample(now[0], repeat, role, self._cores, 0, None, percent, None, 0)


def _busy_s() -> float:
    """CPU seconds of all cores since boot; what a hypervisor took from us is somebody else's."""
    times = psutil.cpu_times()
    names = ("user", "nice", "system", "irq", "softirq", "steal")
    return float(sum(getattr(times, name, 0.0) for name in names))


def main(out: Path) -> None:
    """Sample until stdin closes."""
    os.nice(_NICENESS)
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    trees: list[Tree] = []
    host = Host()
    repeat = 0
    encode = msgspec.json.Encoder().encode
    due = time.monotonic()
    # Unbuffered: what select has not announced must not hide in a buffer.
    with out.open("wb", buffering=0) as file, open(0, "rb", buffering=0) as stdin:
        for number in itertools.count():
            while select.select([stdin], [], [], max(0.0, due - time.monotonic()))[0]:
                line = stdin.readline()
                if not line:
                    return
                watch = msgspec.json.decode(line, type=Watch)
                repeat, trees = watch.repeat, _merged(trees, watch)
            found: list[Sample] = []
            for turn, tree in enumerate(trees):
                thorough = number % _THOROUGH_EVERY == turn
                if thorough:
                    tree.discover()
                found += tree.sample(repeat, thorough=thorough)
            found += host.sample(repeat, found)
            file.writelines(encode(sample) + b"\n" for sample in found)
            due = max(due + INTERVAL_S, time.monotonic())


def _merged(trees: list[Tree], watch: Watch) -> list[Tree]:
    """Keep trees that are still watched, so that their CPU time goes on."""
    wanted = [("target", watch.target), ("generator", watch.generator)]
    known = {(tree.role, tree.root): tree for tree in trees}
    return [known.get((role, pid)) or _found(role, pid) for role, pid in wanted if pid]


def _found(role: str, pid: int) -> Tree:
    tree = Tree(role, pid)
    tree.discover()
    return tree


if __name__ == "__main__":
    main(Path(sys.argv[1]))
