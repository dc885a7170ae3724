"""Who answers for a service that ends: during checks, between them, before them."""

import asyncio

import pytest

from monitor.contract.verdicts import NoVerdictError, Verdict
from securitytests.gate import run
from securitytests.server import Server
from tests.securitytests.kit import BAD, GOOD, audit, made

pytestmark = pytest.mark.slow


async def harmless(bench):
    bench.judge(GOOD)


async def deadly(bench):
    bench.server.launch.kill()
    bench.judge(GOOD)


def verdicts(found):
    return {name: one.verdict for name, one in found.items()}


def together(count):
    """Return a function that waits until so many checks have called it; at once ever after."""
    begun, arrived = asyncio.Event(), []

    async def wait():
        arrived.append(1)
        if len(arrived) >= count:
            begun.set()
        await begun.wait()

    return wait


def test_one_that_ends_its_service_each_time_is_found_and_the_other_acquitted():
    meet = together(2)

    async def killer(bench):
        await meet()
        await deadly(bench)

    async def bystander(bench):
        await meet()
        await asyncio.to_thread(bench.server.launch.ended, 5.0 if len(tried) == 0 else 0.0)
        tried.append(1)
        bench.judge(GOOD)

    tried = []
    found = audit(made("ZA1", killer), made("ZA2", bystander))
    assert verdicts(found) == {"ZA1": Verdict.FAIL, "ZA2": Verdict.PASS}
    assert found["ZA1"].reason == "the service ended during the check"


def test_what_failed_beside_the_killer_is_not_acquitted_by_passing_alone():
    meet = together(2)
    tried = []

    async def killer(bench):
        await meet()
        await deadly(bench)

    async def once(bench):
        bench.judge(GOOD if tried else BAD)
        await meet()
        await asyncio.to_thread(bench.server.launch.ended, 0.0 if tried else 5.0)
        tried.append(1)

    found = audit(made("ZA1", killer), made("ZA2", once))
    assert verdicts(found) == {"ZA1": Verdict.FAIL, "ZA2": Verdict.INCONCLUSIVE}
    assert "got that; not again by itself" in found["ZA2"].reason


def test_an_end_that_none_brings_about_again_is_answered_for_by_all_who_were_there():
    meet = together(2)
    tried = []

    async def at_first(bench):
        await meet()
        if len(tried) < 2:
            bench.server.launch.kill()
        tried.append(1)
        bench.judge(GOOD)

    found = audit(made("ZA1", at_first), made("ZA2", at_first))
    assert verdicts(found) == {"ZA1": Verdict.FAIL, "ZA2": Verdict.FAIL}
    assert found["ZA1"].reason == "the service ended while ZA1, ZA2 were under way"


@pytest.mark.parametrize("alone", [False, True], ids=["side by side", "alone"])
def test_an_end_after_the_last_look_is_answered_for_by_the_check_before_it(monkeypatch, alone):
    conduct = run.conduct

    async def conduct_and_end(check, server):
        conducted = await conduct(check, server)
        if check.id == "ZA1":
            server.launch.kill()
        return conducted

    monkeypatch.setattr(run, "conduct", conduct_and_end)
    found = audit(made("ZA1", harmless, alone=alone))
    assert found["ZA1"].verdict is Verdict.FAIL
    assert found["ZA1"].reason == "the service ended during the check, or right after it"


def test_a_check_that_came_too_late_to_be_served_is_conducted_on_the_next_service(monkeypatch):
    """ZA1 has begun when the service ends, and ZA2 only then asks to be served."""
    conduct, over = run.conduct, asyncio.Event()

    async def conduct_later(check, server):
        if check.id == "ZA2" and not over.is_set():
            await over.wait()
        return await conduct(check, server)

    async def killer(bench):
        await deadly(bench)
        over.set()

    monkeypatch.setattr(run, "conduct", conduct_later)
    found = audit(made("ZA1", killer), made("ZA2", harmless))
    assert verdicts(found) == {"ZA1": Verdict.FAIL, "ZA2": Verdict.PASS}


def test_a_service_that_is_gone_before_the_first_check_leaves_no_verdict(monkeypatch):
    enter = Server.__aenter__

    async def enter_and_end(server):
        await enter(server)
        server.launch.kill()
        return server

    monkeypatch.setattr(Server, "__aenter__", enter_and_end)
    with pytest.raises(NoVerdictError, match="ended before a check was begun"):
        audit(made("ZA1", harmless))


def test_a_service_that_serves_nobody_before_it_ends_leaves_no_verdict(monkeypatch):
    conduct = run.conduct

    async def end_and_conduct(check, server):
        server.launch.kill()
        return await conduct(check, server)

    monkeypatch.setattr(run, "conduct", end_and_conduct)
    found = audit(made("ZA1", harmless), made("ZA2", harmless))
    assert verdicts(found) == {"ZA1": Verdict.INCONCLUSIVE, "ZA2": Verdict.INCONCLUSIVE}
