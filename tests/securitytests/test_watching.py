"""What measures an attack: the process, an honest client, recovery; and how it is judged."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from monitor.contract.findings import Finding
from monitor.contract.promises import Answer, Promises
from monitor.contract.target import load_target
from monitor.contract.verdicts import Severity, Verdict
from securitytests.bench import Bench
from securitytests.check import Check
from securitytests.gate.plan import Permissions, Plan
from securitytests.gate.run import Gate
from securitytests.judging import CannotTellError, closed, withstood
from securitytests.probe.client import NotServedError
from securitytests.probe.peer import Ending
from securitytests.probe.stream import Endpoint, Stream
from securitytests.probe.transcript import Transcript
from securitytests.processes import ProcessTree
from securitytests.watch import Watched, watching
from tests.securitytests.kit import GOOD, audit, made

ROOT = Path(__file__).parents[2]

BOUNDS = Promises(attacked_p99_ms=50, attacked_memory_bytes=10_000_000, attacked_recovery_s=1)


class Canary:
    """Answers in so many seconds, one after the other; the last for ever. None: no service."""

    interval_s = 0.004

    def __init__(self, *latencies_s):
        self._latencies = list(latencies_s)

    async def measure(self, within):  # noqa: ARG002 - as the watch calls it
        latency = self._latencies.pop(0) if len(self._latencies) > 1 else self._latencies[0]
        await asyncio.sleep(0.001)
        if latency is None:
            raise NotServedError("nothing came")
        return latency


async def watch(canary, tree=None, seconds=0.05):
    async with watching(tree, canary, asyncio.get_running_loop().time) as seen:
        await asyncio.sleep(seconds)
    return seen


def test_latencies_during_the_block_and_recovery_after_it_are_told():
    seen = asyncio.run(watch(Canary(0.5, 0.001), seconds=1))
    assert seen.service_s[0] == 0.5 <= seen.latencies_s[0]
    assert seen.service_percentile_s(1.0) == 0.5
    assert seen.service_percentile_s(0.5) == 0.001
    assert seen.recovery_s == 0.001
    assert seen.canary_lost == ""
    assert seen.figures("x")["x_honest_samples"] == len(seen.latencies_s)


def test_an_honest_client_that_is_not_served_is_told_and_has_no_recovery():
    seen = asyncio.run(watch(Canary(0.001, None)))
    assert seen.canary_lost == "nothing came"
    assert seen.recovery_s is None


def test_an_answer_still_waited_for_at_the_end_counts_as_long_as_it_was_waited_for():
    class Starved:
        interval_s = 0.005
        over = False

        async def measure(self, within):
            if not self.over:
                await asyncio.sleep(within)
            return 0.001

    async def starve():
        canary = Starved()
        async with watching(None, canary, asyncio.get_running_loop().time) as seen:
            await asyncio.sleep(0.05)
            canary.over = True
        return seen

    seen = asyncio.run(starve())
    assert len(seen.latencies_s) > 1
    assert 0.025 < max(seen.latencies_s) <= seen.duration_s
    assert seen.recovery_s == 0.001


def test_what_falls_due_while_the_service_stands_still_waits_from_then_on():
    class Standing:
        """Serves nobody until it goes on."""

        interval_s = 0.005

        def __init__(self):
            self.goes_on = asyncio.Event()

        async def measure(self, within):  # noqa: ARG002 - as the watch calls it
            started = asyncio.get_running_loop().time()
            await self.goes_on.wait()
            return asyncio.get_running_loop().time() - started

    async def stand():
        canary = Standing()
        async with watching(None, canary, asyncio.get_running_loop().time) as seen:
            await asyncio.sleep(0.2)
            canary.goes_on.set()
            await asyncio.sleep(0.1)
        return seen

    seen = asyncio.run(stand())
    assert max(seen.latencies_s) > 0.19
    assert len([one for one in seen.latencies_s if one > 0.1]) >= 15


def test_what_the_audit_sends_late_counts_from_when_it_was_due():
    async def stall():
        canary = Canary(0.001)
        async with watching(None, canary, asyncio.get_running_loop().time) as seen:
            await asyncio.sleep(0.02)
            time.sleep(0.3)  # noqa: ASYNC251 - the fault to be noticed
            await asyncio.sleep(0.02)
        return seen

    seen = asyncio.run(stall())
    assert seen.percentile_s(0.99) > 0.25
    assert seen.service_percentile_s(0.99) < 0.25
    seen.rss_peak_bytes = 1
    late = next(one for one in withstood(seen, BOUNDS) if one.expected.startswith("an honest p99"))
    assert (late.verdict, "the audit itself was late" in late.actual) == ("INCONCLUSIVE", True)


@pytest.mark.slow
def test_a_service_that_stands_still_shows_in_p99_for_as_long_as_it_stood():
    stood_s, seen = 0.0, Watched()

    async def probe(bench: Bench) -> None:
        nonlocal stood_s, seen
        service = psutil.Process(bench.server.launch.pid)
        pair = await bench.pair()
        pair.interval_s = 0.005
        async with watching(None, pair, bench.now) as seen:
            await asyncio.sleep(0.7)
            service.suspend()
            stopped = bench.now()
            await asyncio.sleep(0.3)
            stood_s = bench.now() - stopped
            service.resume()
            await asyncio.sleep(0.7)
        bench.judge(GOOD)

    found = audit(made("ZA1", probe, server="own", alone=True))
    assert found["ZA1"].verdict is Verdict.PASS, found["ZA1"].reason
    assert len(seen.latencies_s) > 200
    assert seen.percentile_s(0.99) > 0.9 * stood_s


def test_memory_and_descriptors_of_a_process_are_those_it_had_at_their_height():
    program = (
        "held = []\nfor line in open(0):\n    held = [b'x' * int(line)]\n    print(flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:

        async def grow():
            tree = ProcessTree(lambda: child.pid)
            async with watching(tree, None, asyncio.get_running_loop().time) as seen:
                for size in (50_000_000, 1):
                    child.stdin.write(b"%d\n" % size)
                    child.stdin.flush()
                    await asyncio.to_thread(child.stdout.readline)
                    await asyncio.sleep(0.1)
            return seen

        child.stdin.write(b"1\n")
        child.stdin.flush()
        child.stdout.readline()
        seen = asyncio.run(grow())
        child.stdin.close()
    assert seen.rss_growth_bytes > 45_000_000
    assert seen.rss_after_bytes < seen.rss_peak_bytes - 45_000_000
    assert seen.descriptors_peak >= 3


@pytest.mark.parametrize(
    ("changes", "failing"),
    [
        ({}, None),
        ({"latencies_s": [0.06]}, "an honest p99"),
        ({"rss_peak_bytes": 10_000_001}, "a peak of memory"),
        ({"recovery_s": 1.1}, "recovery"),
        ({"canary_lost": "closed"}, "the honest client"),
    ],
)
def test_each_promise_about_an_attack_is_judged_by_itself(changes, failing):
    good = {"latencies_s": [0.01], "rss_peak_bytes": 10_000_000, "recovery_s": 1.0}
    judged = withstood(Watched(**{**good, **changes}), BOUNDS)
    failed = [one.expected for one in judged if one.verdict is Verdict.FAIL]
    assert len(judged) == 4
    assert [text.startswith(failing) for text in failed] == ([] if failing is None else [True])


def test_what_could_not_be_measured_proves_nothing():
    judged = withstood(Watched(latencies_s=[0.01], recovery_s=0.1), BOUNDS)
    assert [one.verdict for one in judged].count(Verdict.INCONCLUSIVE) == 1
    with pytest.raises(CannotTellError, match="attacked_p99_ms"):
        withstood(Watched(latencies_s=[0.01]), Promises())


@pytest.mark.parametrize(
    ("kind", "verdict"), [("eof", "PASS"), ("reset", "PASS"), ("close", "FAIL")]
)
def test_an_end_without_a_close_frame_is_what_code_1006_stands_for(kind, verdict):
    ending = Ending(kind, 0.1, 1000 if kind == "close" else None)
    assert closed(ending, Answer(close=(1006,))).verdict == verdict
    assert closed(Ending("eof", 0.1), Answer(close=(4408,))).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("end", "by_silence", "by_nudging"),
    [("keeps it", False, False), ("half-closes", True, False), ("closes", True, True)],
)
def test_a_half_closed_connection_is_over_only_for_who_merely_listens(end, by_silence, by_nudging):
    async def dropped(nudge, expected):
        listener = socket.create_server(("127.0.0.1", 0))
        endpoint = Endpoint("127.0.0.1", listener.getsockname()[1], "host", "/")
        stream = await Stream.open(endpoint, Transcript("X"), 1, None)
        service, _ = listener.accept()
        if end == "half-closes":
            service.shutdown(socket.SHUT_WR)
        elif end == "closes":
            service.close()
        try:
            return await stream.dropped(5 if expected else 0.4, nudge)
        finally:
            await stream.closed()
            service.close()
            listener.close()

    assert asyncio.run(dropped(b"", by_silence)) is by_silence
    assert asyncio.run(dropped(b"x", by_nudging)) is by_nudging


@pytest.mark.slow
def test_checks_that_measure_run_alone_on_a_service_of_their_own(tmp_path):
    """Beside one that shares: nothing of it is under way while the others measure."""
    under_way: list[str] = []
    seen: dict[str, tuple[str, ...]] = {}
    pids: dict[str, int | None] = {}

    def probe(name):
        async def run(bench: Bench) -> None:
            under_way.append(name)
            async with bench.watching(name):
                await asyncio.sleep(0.2)
            seen[name] = tuple(under_way)
            pids[name] = bench.server.launch.pid
            under_way.remove(name)
            bench.judge(*withstood_nothing())

        return run

    def check(name, **data):
        return Check(
            name, name, None, Severity.LOW, (), "", 1.0, probe(name), "why", "gentle", **data
        )

    checks = (
        check("ZA1"),
        check("ZA2", server="own", alone=True),
        check("ZA3", alone=True),
        check("ZA4", server="own"),
    )
    target = load_target(ROOT / "monitor" / "target.toml").shortened()
    plan = Plan(target, checks, (), False, None, Permissions())
    found: list[Finding] = []
    outcome = asyncio.run(Gate(plan, lambda finding, *_: found.append(finding)).run())
    assert [one.verdict for one in outcome.findings] == [Verdict.PASS] * 4
    assert seen["ZA2"] == ("ZA2",)
    assert seen["ZA3"] == ("ZA3",)
    assert len(set(pids.values())) == 4
    assert None not in pids.values()
    assert os.getpid() not in pids.values()
    figures = {one.id: one.figures for one in outcome.findings}
    assert figures["ZA2"]["ZA2_rss_peak_bytes"] > 10_000_000
    assert figures["ZA2"]["ZA2_honest_samples"] >= 1


def withstood_nothing():
    good = Watched(latencies_s=[0.01], rss_peak_bytes=1, recovery_s=0.1)
    return withstood(good, BOUNDS)
