"""The memory of a service is that of its whole process tree, whoever of it comes and goes."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator

import msgspec
import psutil
import pytest

from monitor.contract.target import load_target
from monitor.contract.verdicts import Verdict
from securitytests.bench import Bench
from securitytests.processes import ProcessTree
from tests.securitytests.kit import GOOD, REFERENCE, audit, made

#: What a child of a service holds.
HELD_BYTES = 60_000_000

#: On every line it is given: a child that holds so many bytes says so, waits for a line, and ends.
PARENT = """
import subprocess, sys
child = (
    "import sys; held = b'x' * int(sys.argv[1]); print('held', flush=True)\\n"
    "sys.stdin.readline()"
)
print("ready", flush=True)
for line in sys.stdin:
    with subprocess.Popen(
        [sys.executable, "-c", child, line.strip()],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as made:
        print(made.stdout.readline().strip(), flush=True)
        sys.stdin.readline()
        made.communicate("end\\n")
    print("ended", flush=True)
"""

#: The monitor, started as the child of a process that only waits for it.
SUPERVISED = (
    "import subprocess, sys\n"
    "sys.exit(subprocess.call([sys.executable, '-m', 'scripts.wsproof', *sys.argv[1:]]))"
)


@contextlib.contextmanager
def parent() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout.readline() == "ready\n"
        yield running
        running.stdin.close()


def say(running, line, answer):
    running.stdin.write(f"{line}\n")
    running.stdin.flush()
    if answer is not None:
        assert running.stdout.readline() == f"{answer}\n"


def test_children_count_while_they_live_and_their_processor_time_for_ever():
    with parent() as running:
        tree = ProcessTree(lambda: running.pid)
        before = tree.read()
        say(running, HELD_BYTES, "held")
        during = tree.read()
        say(running, "go", "ended")
        after = tree.read()
    assert (before.processes, during.processes, after.processes) == (1, 2, 1)
    assert during.rss_bytes - before.rss_bytes > HELD_BYTES
    assert after.rss_bytes < during.rss_bytes - HELD_BYTES
    assert during.descriptors > before.descriptors
    assert after.cpu_s >= during.cpu_s > before.cpu_s
    assert tree.rss_peak_bytes() == during.rss_bytes
    assert tree.read() is None
    assert tree.rss_peak_bytes() == during.rss_bytes


def test_children_that_end_while_they_are_read_are_passed_over():
    with parent() as running:
        tree, readings = ProcessTree(lambda: running.pid), []
        for _ in range(5):
            say(running, 1, "held")
            say(running, "go", None)  # the child ends sometime during the next readings
            readings += [tree.read() for _ in range(20)]
            assert running.stdout.readline() == "ended\n"
    assert None not in readings
    assert {one.processes for one in readings} <= {1, 2}


def test_a_process_without_those_below_it_is_only_itself():
    with parent() as running:
        say(running, HELD_BYTES, "held")
        alone = ProcessTree(lambda: running.pid, below=False).read()
        say(running, "go", "ended")
    assert alone.processes == 1
    assert alone.rss_bytes < HELD_BYTES


@pytest.mark.slow
def test_the_memory_of_a_service_that_is_a_child_of_what_was_started_is_judged():
    """As with workers of a server: the process that is started only waits."""
    target = load_target(REFERENCE).shortened()
    at = target.start.command.index("serve")
    command = ("{python}", "-c", SUPERVISED, *target.start.command[at:])
    target = msgspec.structs.replace(
        target, start=msgspec.structs.replace(target.start, command=command)
    )
    serving = 0

    async def probe(bench: Bench) -> None:
        nonlocal serving
        async with bench.watching("supervised") as seen:
            await asyncio.sleep(0.1)
            (child,) = psutil.Process(bench.server.launch.pid).children()
            serving = child.memory_info().rss
        bench.figures["seen_bytes"] = seen.rss_peak_bytes
        bench.judge(GOOD)

    found = audit(made("ZA1", probe, server="own", alone=True), target=target)["ZA1"]
    assert found.verdict is Verdict.PASS, found.reason
    assert found.figures["seen_bytes"] > serving > 0
