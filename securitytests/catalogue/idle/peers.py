"""Clients that are there and do nothing that counts, and one that does."""

import asyncio
from collections.abc import Awaitable, Callable

from monitor.contract.profile import Method, TokenKind
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.check import Claim, check
from securitytests.judging import Judgement, closed, either, verdict_of
from securitytests.probe.client import Client
from securitytests.probe.frames import Opcode, encode_frame
from securitytests.probe.peer import ENDS, Ending, Received

#: What a client does now and then while it is watched.
Doing = Callable[[Client, int], Awaitable[object]]

#: How often an idle client does what does not count, and an active one what does: so often in
#: one idle timeout. With real durations it stays far below any limit of requests and fragments.
_TIMES = 10

#: Between two publications to a subscriber that answers no pings.
_EVENT_EVERY_S = 0.3

#: Bytes of one fragment of a single character: what is sent one by one.
_FRAGMENT_BYTES = 7

#: How long after its deadline a connection is watched, so that lateness can be told.
_WATCHED_S = 0.5


@check(
    id="ID2",
    title="A peer that answers no ping is reaped",
    claim=Claim.IDLE,
    severity=Severity.MEDIUM,
    references=("CWE-772", "RFC6455-5.5.2"),
    remediation="Ping on an interval; only a pong to it counts as an answer, and only in time.",
    cost_s=4.0,
    tier="gentle",
)
async def unanswered_pings(bench: Bench) -> None:
    """A peer whose network is gone looks like one that is quiet; the ping tells them apart.

    A publisher of each way of authenticating, and a subscriber that is delivered events, read all
    that comes and answer no ping: each must be closed as `answers.ping_deadline` says by the
    promised interval, time to answer, and tolerance, and not before the time to answer is over.
    One that answers must still be there.
    """
    interval, answer = bench.promised("ping_interval_s"), bench.promised("ping_answer_deadline_s")
    latest = interval + answer + bench.promises.tolerance_s
    expected = bench.answer("ping_deadline")
    idle = bench.promises.idle_timeout_s
    if idle is not None and idle - bench.promises.tolerance_s < latest:
        expected = either(expected, bench.answer("idle"))  # whichever comes first

    async def one(name: str, kind: TokenKind, method: Method) -> None:
        with bench.variant(name):
            client = await bench.client(kind, method=method)
            client.peer.answers_pings = False
            ending = await client.peer.until_end(latest + _WATCHED_S)
            bench.judge(closed(ending, expected, within_s=latest, not_before_s=min(answer, 0.5)))

    publisher, stop = await bench.client("publish"), asyncio.Event()
    publishing = asyncio.create_task(_publish_until(bench, publisher, stop))
    try:
        await asyncio.gather(
            *(one(f"{method}, says nothing", "publish", method) for method in bench.methods),
            one("is delivered events", "subscribe", bench.methods[0]),
        )
    finally:
        stop.set()
        await publishing
    with bench.variant("answers pings and talks"):
        ending = await publisher.peer.until_end(0.05)
        bench.judge(verdict_of(not ending.ended, "still there", str(ending)))


async def _publish_until(bench: Bench, publisher: Client, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await publisher.publish(bench.event(), 5)
        ended = await publisher.peer.until_end(_EVENT_EVERY_S)  # answers pings meanwhile
        if ended.ended:
            return


@check(
    id="ID3",
    title="A client that only sends pings follows the declared policy",
    claim=Claim.IDLE,
    severity=Severity.LOW,
    references=("CWE-613", "ASVS-7.3.1"),
    remediation="Decide whether a protocol ping or pong is activity, say so, and keep to it.",
    cost_s=5.0,
    tier="gentle",
)
async def pings_only(bench: Bench) -> None:
    """Libraries ping by themselves: if that is activity, a forgotten page is never idle.

    One client for each way of authenticating sends a protocol ping every tenth of the idle
    timeout, another an unasked pong. Where `promises.activity` does not name it, each must be
    closed at the idle timeout as `answers.idle` says; where it does, neither may be.
    """

    async def ping(client: Client, _: int) -> None:
        await client.peer.send(encode_frame(b"here", Opcode.PING), "ping")

    async def pong(client: Client, _: int) -> None:
        await client.peer.send(encode_frame(b"", Opcode.PONG), "unasked pong")

    async with asyncio.TaskGroup() as group:
        for method in bench.methods:
            counts = "ping" in bench.promises.activity
            group.create_task(_watch(bench, f"{method}, pings", method, ping, active=counts))
        counts = "pong" in bench.promises.activity
        group.create_task(_watch(bench, "pongs", bench.methods[0], pong, active=counts))


@check(
    id="ID4",
    title="A byte now and then does not put off the idle timeout",
    claim=Claim.IDLE,
    severity=Severity.MEDIUM,
    references=("CWE-400", "ASVS-7.3.1"),
    remediation="Count whole messages as activity, not what arrives on the socket.",
    cost_s=5.0,
    tier="gentle",
)
async def bytes_only(bench: Bench) -> None:
    """Who keeps a connection by one byte in ten seconds holds thousands of them for nothing.

    One client for each way of authenticating sends a message that never ends, byte by byte,
    another in whole fragments; both answer pings. Unless `promises.activity` names bytes, each
    must be closed at the idle timeout as `answers.idle` says.
    """
    active = "byte" in bench.promises.activity

    async def fragment(client: Client, number: int) -> None:
        await client.peer.send(_fragment(number), "a fragment")

    async with asyncio.TaskGroup() as group:
        for method in bench.methods:
            group.create_task(_dribble(bench, f"{method}, bytes", method, active=active))
        group.create_task(_watch(bench, "fragments", bench.methods[0], fragment, active=active))


def _fragment(number: int) -> bytes:
    """Return a fragment of one character that is not the last; the first begins a message."""
    opcode = Opcode.CONTINUATION if number else Opcode.TEXT
    return encode_frame(b"x", opcode, fin=False, mask=bytes(4))  # sent in pieces: always the same


async def _dribble(bench: Bench, name: str, method: Method, *, active: bool) -> None:
    """Send single bytes until the end, and pongs where one fragment is over and none begun."""
    with bench.variant(name):
        timeout, tolerance = bench.promised("idle_timeout_s"), bench.promises.tolerance_s
        answer = bench.promises.ping_answer_deadline_s or timeout
        pause = min(timeout, answer) / 2 / _FRAGMENT_BYTES
        client = await bench.client("publish", method=method)
        client.peer.answers_pings = False
        started, sent, owed = bench.now(), 0, list[bytes]()
        heard = Received("silence", started)
        while bench.now() < started + timeout + tolerance + _WATCHED_S:
            heard = await client.peer.receive(started + sent * pause - bench.now())
            if heard.kind in ENDS:
                break
            if heard.kind == "ping":
                owed.append(encode_frame(heard.text.encode("latin-1"), Opcode.PONG))
            if heard.kind == "silence":
                number, at = divmod(sent, _FRAGMENT_BYTES)
                if at == 0:
                    await client.peer.send(b"".join(owed), f"{len(owed)} pongs")
                    owed.clear()
                await client.peer.send(_fragment(number)[at : at + 1], "one byte of a fragment")
                sent += 1
        ending = Ending(heard.kind, heard.at_s - started, heard.code, heard.text)
        if not ending.ended:
            ending = Ending("silence", bench.now() - started)
        bench.judge(_as_idle(bench, ending, active=active))


async def _watch(bench: Bench, name: str, method: Method, doing: Doing, *, active: bool) -> None:
    """Have a client do something now and then; judge when it is closed, or that it is not."""
    with bench.variant(name):
        client = await bench.client("publish", method=method)
        started = bench.now()
        ending = await _do_until_end(bench, client, doing)
        bench.judge(_as_idle(bench, ending.since(started), active=active))


def _as_idle(bench: Bench, ending: Ending, *, active: bool) -> Judgement:
    """Judge that a client was closed at the idle timeout, or, if `active`, not at all."""
    if active:
        return _kept(ending)
    timeout, tolerance = bench.promised("idle_timeout_s"), bench.promises.tolerance_s
    return closed(
        ending,
        bench.answer("idle"),
        within_s=timeout + tolerance,
        not_before_s=timeout - tolerance,
    )


async def _do_until_end(bench: Bench, client: Client, doing: Doing) -> Ending:
    """Do something ten times in each idle timeout, until its tolerance is over as well."""
    timeout, tolerance = bench.promised("idle_timeout_s"), bench.promises.tolerance_s
    within, pause = timeout + tolerance + _WATCHED_S, timeout / _TIMES
    started, number = bench.now(), 0
    while True:
        left = started + within - bench.now()
        ending = await client.peer.until_end(min(pause, left))
        if ending.ended or left <= pause:
            return ending
        await doing(client, number)
        number += 1


def _kept(ending: Ending) -> Judgement:
    return verdict_of(not ending.ended, "kept open", str(ending))


@check(
    id="ID5",
    title="An active client is not closed",
    claim=Claim.IDLE,
    severity=Severity.MEDIUM,
    references=("ASVS-7.3.1",),
    remediation="Move the deadline with each message, and with each delivery if that is promised.",
    cost_s=5.5,
    tier="gentle",
)
async def active_clients(bench: Bench) -> None:
    """A timeout that closes everyone proves nothing, and costs those who work.

    For longer than the idle timeout and its tolerance, a client of each way of authenticating
    says the keep-alive message now and then, another publishes, and a subscriber is delivered
    those events (where `promises.activity` names deliveries): none may be closed.
    """
    activity, keepalive = bench.promises.activity, bench.target.keepalive
    if "message" not in activity:
        bench.cannot_tell("the profile names no messages in `promises.activity`")
    subscriber = await bench.client("subscribe") if "delivery" in activity else None

    async def publish(client: Client, _: int) -> None:
        await client.send_event(bench.event())

    async def say(client: Client, _: int) -> None:
        assert keepalive is not None  # noqa: S101 - asked for below
        await client.peer.send_text(keepalive.message)

    async with asyncio.TaskGroup() as group:
        group.create_task(_active(bench, "publishes", bench.methods[0], publish))
        if keepalive is not None:
            for method in bench.methods:
                group.create_task(_active(bench, f"{method}, keeps alive", method, say))
        if subscriber is not None:
            group.create_task(_delivered(bench, subscriber))


async def _active(bench: Bench, name: str, method: Method, doing: Doing) -> None:
    with bench.variant(name):
        client = await bench.client("publish", method=method)
        ending = await _do_until_end(bench, client, doing)
        bench.judge(_kept(ending))


async def _delivered(bench: Bench, subscriber: Client) -> None:
    with bench.variant("deliveries"):
        timeout, tolerance = bench.promised("idle_timeout_s"), bench.promises.tolerance_s
        ending = await subscriber.peer.until_end(timeout + tolerance + _WATCHED_S)
        heard = bool(ending.texts)
        bench.judge(verdict_of(heard, "events arrive", f"{len(ending.texts)} messages"))
        bench.judge(_kept(ending))
