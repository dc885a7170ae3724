"""What an audit notes of the servers, of itself, and of its own standing still."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from monitor.contract.tables import RESOURCES
from securitytests.gate.resources import Resources
from securitytests.gate.stalls import too_long
from securitytests.processes import ProcessTree

REFERENCE = Path(__file__).parents[2] / "monitor" / "target.toml"


class Noted(list):
    """Rows, and an event when there are two of them."""

    def __init__(self):
        super().__init__()
        self.two = asyncio.Event()

    def append(self, row):
        super().append(dict(zip(RESOURCES.names, row, strict=True)))
        if len(self) == 2:
            self.two.set()


async def test_the_audit_is_number_0_and_servers_count_from_1():
    resources = Resources()
    rows = resources.rows = Noted()
    async with resources.of_the_audit(), resources.of_a_server(ProcessTree(os.getpid)):
        await asyncio.wait_for(rows.two.wait(), 10)
    assert sorted((row["repeat"], row["role"]) for row in rows) == [(0, "generator"), (1, "target")]
    assert all(row["rss_bytes"] > 10**7 and row["descriptors"] > 2 for row in rows)


async def test_a_server_that_ended_or_is_not_ours_leaves_no_rows():
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await ended.wait()
    resources = Resources()
    async with resources.of_a_server(ProcessTree(lambda: ended.pid)), resources.of_a_server(None):
        await asyncio.sleep(0.05)
    assert resources.rows == []


async def test_standing_still_is_noticed():
    resources = Resources()
    async with resources.of_the_audit():
        await asyncio.sleep(0.1)
        time.sleep(0.4)  # noqa: ASYNC251 - the fault to be noticed
        await asyncio.sleep(0.1)
    assert resources.stalled_s > 0.3


@pytest.mark.parametrize(("stalled_s", "said"), [(0.9, ""), (1.5, "stood still for 1.5 s")])
def test_who_stood_still_for_longer_than_the_tolerance_says_so(stalled_s, said):
    assert said in too_long(stalled_s, 1.0)
    assert bool(too_long(stalled_s, 1.0)) is bool(said)
