"""What lies with the audit, and what with the service: budgets, commands, sockets, floods."""

import asyncio
import errno
import socket
import time

import pytest

from monitor.contract.target import load_target
from monitor.contract.verdicts import Verdict
from securitytests.catalogue.rates.enduring import endure
from securitytests.gate.plan import Permissions
from securitytests.probe.client import NotServedError
from securitytests.probe.stream import Endpoint, NoSocketError, Stream
from securitytests.probe.transcript import Transcript
from tests.securitytests.kit import BAD, GOOD, REFERENCE, audit, made

pytestmark = pytest.mark.slow


async def harmless(bench):
    bench.judge(GOOD)


def test_a_budget_of_connections_used_up_before_the_client_after_it_is_no_failure():
    permissions = Permissions(budget_connections=2)  # the pair before, none for the pair after
    found = audit(made("ZA1", harmless), permissions=permissions)["ZA1"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "the budget of connections is used up" in found.reason


@pytest.mark.parametrize(
    ("judgement", "verdict"), [(BAD, Verdict.INCONCLUSIVE), (GOOD, Verdict.PASS)]
)
def test_what_fails_while_the_audit_itself_stands_still_is_no_finding(judgement, verdict):
    async def starved(bench):
        await asyncio.sleep(0)
        time.sleep(0.5)  # noqa: ASYNC251 - what is tried: the loop stands still
        bench.judge(judgement)

    found = audit(made("ZA1", starved), tolerance_s=0.2)["ZA1"]
    assert found.verdict is verdict
    assert ("the audit itself stood still for 0." in found.reason) is (judgement is BAD)


def test_no_socket_for_the_client_after_it_is_no_failure(monkeypatch):
    async def exhausting(bench):
        bench.judge(GOOD)

        async def refuse(*_, **__):
            raise NoSocketError("no socket to connect from: Too many open files")

        monkeypatch.setattr(Stream, "open", refuse)

    found = audit(made("ZA1", exhausting))["ZA1"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "Too many open files" in found.reason


def test_a_connection_this_machine_has_no_room_for_says_so(monkeypatch):
    def full(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    async def opened():
        monkeypatch.setattr(socket, "socket", full)
        await Stream.open(Endpoint("127.0.0.1", 1, "host", "/"), Transcript("X"), 1, None)

    with pytest.raises(NoSocketError, match="Too many open files"):
        asyncio.run(opened())


def test_an_address_this_machine_does_not_have_is_no_word_of_the_service():
    opening = Stream.open(Endpoint("127.0.0.1", 1, "host", "/"), Transcript("X"), 1, "192.0.2.1")
    with pytest.raises(NoSocketError, match="no socket to connect from"):
        asyncio.run(opening)


def test_a_budget_of_seconds_ends_checks_that_connect_no_more_and_is_no_failure():
    async def endless(bench):
        peer = (await bench.client("publish")).peer
        while True:
            await peer.send(b"", "nothing")
            await asyncio.sleep(0.01)

    found = audit(made("ZA1", endless, cost_s=1e6), permissions=Permissions(budget_s=3.0))["ZA1"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reason == "the budget of seconds is used up; raise --budget-seconds"


def test_what_was_concluded_within_the_budget_stays():
    async def endless(_bench):
        await asyncio.Event().wait()

    checks = (made("ZA1", harmless), made("ZA2", endless, alone=True, cost_s=1e6))
    found = audit(*checks, permissions=Permissions(budget_s=10.0))
    assert found["ZA1"].verdict is Verdict.PASS
    assert found["ZA2"].verdict is Verdict.INCONCLUSIVE


def flood_of(turn):
    """Return a check that endures a flood of such turns, and promises nobody could break."""

    async def make(_bench):
        return turn

    async def probe(bench):
        await endure(bench, {"made": make}, 0.2)

    return made("ZA1", probe, server="own")


GENEROUS = {"attacked_p99_ms": 1e6, "attacked_memory_bytes": 10**12, "attacked_recovery_s": 1e6}


async def counted(_address, _held):
    return 1


async def stopped(_address, _held):
    raise NotServedError("HTTP 429")


async def broken(_address, _held):
    raise ValueError("a bug")


@pytest.mark.parametrize(
    ("turn", "verdict", "reason"),
    [
        (counted, Verdict.PASS, "4 observations"),
        (stopped, Verdict.INCONCLUSIVE, "8 of them did not bring one turn to its end"),
        (broken, Verdict.INCONCLUSIVE, "defect of the check: ValueError('a bug')"),
    ],
)
def test_a_service_withstands_only_a_flood_there_was(turn, verdict, reason):
    found = audit(flood_of(turn), **GENEROUS)["ZA1"]
    assert found.verdict is verdict, found.reason
    assert reason in found.reason


def test_turns_that_were_stopped_are_not_offered():
    turns = []

    async def once(_address, _held):
        turns.append(_address)
        if turns.count(_address) > 1:
            raise NotServedError("HTTP 429")
        return 1

    found = audit(flood_of(once), **GENEROUS)["ZA1"]
    assert found.verdict is Verdict.PASS
    assert found.figures["made_stopped_turns"] == len(turns) - 8
    assert found.figures["made_offered_per_s"] < 8 / 0.2 + 1


def test_abusers_without_a_budget_are_no_flood():
    async def spending(bench):
        async def make(_bench):
            async def turn(address, held):
                held.append(await bench.connect(address))
                return 1

            return turn

        await endure(bench, {"made": make}, 0.5)

    found = audit(
        made("ZA1", spending, server="own"),
        permissions=Permissions(budget_connections=20),
        **GENEROUS,
    )["ZA1"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "the budget of connections is used up" in found.reason


def test_a_command_that_fails_after_the_check_is_no_failure_of_the_service():
    target = load_target(REFERENCE).shortened()

    async def forgetting(bench):
        bench.judge(GOOD)
        bench.server.tokens._obtained.clear()
        bench.target.tokens["publish"] = bench.target.tokens["publish"].__class__(
            environment="A_TOKEN_NOBODY_SET"
        )

    found = audit(made("ZA1", forgetting), target=target)["ZA1"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "no A_TOKEN_NOBODY_SET; set it" in found.reason
