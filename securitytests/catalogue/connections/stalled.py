"""Peers that begin and do not go on, or go and do not say so."""

import asyncio

from monitor.contract.profile import Method, TokenKind
from monitor.contract.verdicts import Severity
from securitytests.bench import Bench
from securitytests.catalogue.connections.returning import served_again
from securitytests.check import Claim, check
from securitytests.judging import answered, verdict_of
from securitytests.probe.client import Client
from securitytests.probe.frames import Opcode, encode_frame
from securitytests.probe.peer import Peer
from securitytests.probe.stream import StreamEndedError

#: Between two bytes of a handshake that dribbles.
_DRIBBLE_EVERY_S = 0.15

_PONG = encode_frame(b"", Opcode.PONG)


@check(
    id="CN3",
    title="A handshake that stalls or dribbles is cut, and takes up a slot until then",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.HIGH,
    references=("CWE-400", "CWE-770"),
    remediation="Count connections when they are accepted; bound the whole handshake by one time.",
    cost_s=3.5,
    tier="destructive",
)
async def stalled_handshakes(bench: Bench) -> None:
    """A connection that never finishes asking costs as much as one that does, for as long.

    From one address as many connections as promised stay silent, stop within the request line or
    before the last line, or send one byte now and then. Where the profile says that they count,
    one more must be refused. Each must be over by the promised handshake deadline and the
    tolerance, whatever it sent meanwhile; then a client must be served.
    """
    deadline = bench.promised("handshake_deadline_s") + bench.promises.tolerance_s
    limit, address = int(bench.promised("connections_per_address")), bench.own_address()
    head = bench.handshake_request(bench.credentials(await bench.token("publish"))).encode()
    starts = {"silent": 0, "half a request line": 9, "no last line": len(head) - 2, "dribbling": 5}
    names = [list(starts)[n % len(starts)] for n in range(limit)]
    peers = [(name, await bench.connect(address)) for name in names]
    opened = bench.now()
    for name, peer in peers:
        await peer.stream.send(head[: starts[name]], f"{starts[name]} bytes of a handshake")
    dribbling = [
        asyncio.create_task(_dribble(peer, head[starts[name] : -2]))
        for name, peer in peers
        if name == "dribbling"
    ]
    try:
        if bench.promises.half_open_counted:
            with bench.variant("one more"):
                attempt = await bench.attempt(
                    await bench.token("publish"), bench.methods[0], source=address
                )
                refusal = bench.answer("too_many_connections")
                bench.judge(answered(attempt.handshake, refusal.status))
        left = opened + deadline - bench.now()
        over = await asyncio.gather(*(peer.stream.dropped(left) for _, peer in peers))
    finally:
        for task in dribbling:
            task.cancel()
        await asyncio.gather(*dribbling, return_exceptions=True)
    for name in starts:
        with bench.variant(name):
            cut = [done for done, (kind, _) in zip(over, peers, strict=True) if kind == name]
            wanted = f"over within {deadline:g} s"
            bench.judge(verdict_of(all(cut), wanted, f"{sum(cut)} of {len(cut)} were"))
    with bench.variant("afterwards"):
        bench.judge(await served_again(bench, address, 1))


async def _dribble(peer: Peer, rest: bytes) -> None:
    for at in range(len(rest)):
        await asyncio.sleep(_DRIBBLE_EVERY_S)
        try:
            await peer.stream.send(rest[at : at + 1], "one byte")
        except StreamEndedError:
            return


@check(
    id="CN4",
    title="Peers that vanished are reaped, and their slots come back",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("CWE-772",),
    remediation="Ping; drop who does not answer, and drop the transport if the close is not.",
    cost_s=5.5,
    tier="destructive",
)
async def vanished_peers(bench: Bench) -> None:
    """A machine that lost its power sends no FIN: its connections stay until somebody asks.

    From one address as many clients as promised connect, some of them not authenticated, and then
    neither read nor write again. After the promised time for ping, answer and close (for the
    others authentication and close) and the tolerance, as many must be served again.
    """
    limit, address = int(bench.promised("connections_per_address")), bench.own_address()
    ping = bench.promised("ping_interval_s") + bench.promised("ping_answer_deadline_s")
    deadline, authentication = ping, bench.promises.authentication_deadline_s
    for number in range(limit):
        if number % 4 == 3 and "message" in bench.methods and authentication is not None:
            deadline = max(ping, authentication)
            peer = await bench.connect(address)
            await peer.request(bench.handshake_request())
        else:
            kind: TokenKind = "subscribe" if number % 2 else "publish"
            await bench.client(kind, source=address)
    closing = bench.promised("close_deadline_s") + bench.promises.tolerance_s
    await asyncio.sleep(deadline + closing)  # no one listens: there is nothing to wait for
    bench.judge(await served_again(bench, address, limit))


@check(
    id="CN5",
    title="A failed authentication keeps no slot",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("CWE-772",),
    remediation="Give the slot back wherever a connection ends, above all where it is refused.",
    cost_s=1.0,
    tier="destructive",
)
async def failures_keep_no_slot(bench: Bench) -> None:
    """If each failure costs a slot, guessing locks out everyone behind the same address.

    From one address, authentication fails by each way in turn, as often as is not yet too often.
    Then as many clients as the profile promises must be served at a time, within two seconds.
    """
    limit, address = int(bench.promised("connections_per_address")), bench.own_address()
    failures = (bench.promises.failed_authentications or limit + 1) - 1
    for number in range(failures):
        method = bench.methods[number % len(bench.methods)]
        attempt = await bench.attempt(bench.mark(), method, source=address)
        if attempt.accepted:
            bench.cannot_tell("a bad token was accepted")
    bench.judge(await served_again(bench, address, limit))


@check(
    id="CN6",
    title="A peer that never answers the close is cut",
    claim=Claim.DENIAL_OF_SERVICE,
    severity=Severity.MEDIUM,
    references=("RFC6455-7.1.1", "CWE-772"),
    remediation="After sending a close frame, drop the transport when the answer is overdue.",
    cost_s=3.0,
    tier="destructive",
)
async def unanswered_close(bench: Bench) -> None:
    """A service that waits for a peer's close frame waits as long as the peer likes.

    Clients, authenticated by each way and not yet, are closed by the service: for a frame without
    a mask, and for a binary message where the profile says that it closes. They answer nothing,
    keep TCP open and go on sending pongs. The service must have let go of each connection within
    the promised close deadline and the tolerance.
    """
    await asyncio.gather(
        *(_cut(bench, f"{method}, protocol error", method) for method in bench.methods),
        _cut(bench, "before authentication", None),
        _cut(bench, "bad message", bench.methods[0], binary=True),
    )


async def _cut(bench: Bench, name: str, method: Method | None, *, binary: bool = False) -> None:
    with bench.variant(name):
        deadline = bench.promised("close_deadline_s") + bench.promises.tolerance_s
        if method is None and "message" not in bench.methods:
            return
        peer = await _closed_peer(bench, method, binary=binary)
        if peer is None:
            return
        cut = await peer.stream.dropped(deadline, _PONG)
        wanted = f"let go of within {deadline:g} s"
        bench.judge(verdict_of(cut, wanted, "it was" if cut else "still held"))


async def _closed_peer(bench: Bench, method: Method | None, *, binary: bool) -> Peer | None:
    """Return a peer that was sent a close frame and has not answered it."""
    if method is None:
        peer = await bench.connect()
        await peer.request(bench.handshake_request())
    else:
        client: Client = await bench.client("publish", method=method)
        peer = client.peer
    peer.answers_close = False
    if binary:
        if "binary_message" not in bench.target.answers:
            return None
        await peer.send_frame(b"binary", Opcode.BINARY)
    else:
        await peer.send(encode_frame(b"{}", mask=None), "a frame without a mask")
    ending = await peer.until_end(5)
    if not ending.ended:
        bench.cannot_tell("the service did not close")
    return peer
