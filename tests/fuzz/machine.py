"""Random peers against a real monitor: what they may do, and what must hold whatever they did.

The peers misbehave in every way the grammar knows, several at a time and in any order. Beside them
an honest publisher and subscriber are served, and are asked after each example whether they still
were.
"""

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from monitor.contract.target import Target
from securitytests.bench import Bench
from securitytests.probe.client import NotServedError
from securitytests.probe.frames import Opcode
from securitytests.probe.peer import Peer
from securitytests.probe.stream import StreamEndedError, UnreachableError
from securitytests.server import Server
from tests.fuzz import grammar

#: Memory the monitor may have at most, whatever is done to it: its bounds are far below.
MOST_MEMORY_BYTES = 120 * 10**6

#: How long the honest pair may wait for an event. It shares the machine with whatever else runs.
SERVED_WITHIN_S = 5.0

#: Peers at a time in one example.
_PEERS = 6

#: What a defect leaves in the log.
DEFECTS = ("Traceback", "internal_error", "Error:", "never retrieved", "was never awaited")


class Fuzzed:
    """A monitor under fuzz, kept for many examples: starting one takes longer than they do."""

    def __init__(self, target: Target) -> None:
        self.runner = asyncio.Runner()
        self.seen = 0
        self._target = target
        self._stack: contextlib.AsyncExitStack | None = None
        self.server: Server

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def start(self) -> None:
        """Start the monitor, unless one that is alive and without a blemish runs already."""
        if self._stack is not None and self.server.alive and not self.blemish():
            return
        self.stop()
        self._stack = contextlib.AsyncExitStack()
        self.server = Server(self._target)
        self.run(self._stack.enter_async_context(self.server))

    def stop(self) -> None:
        if self._stack is not None:
            self.run(self._stack.aclose())
            self._stack = None

    def close(self) -> None:
        self.stop()
        self.runner.close()

    def blemish(self) -> str:
        """Return what is wrong with the monitor; empty if nothing is."""
        log = self.server.launch.logged() or ""
        if not self.server.alive:
            return f"the monitor ended: {log[-2000:]}"
        defect = next((at for word in DEFECTS if (at := log.find(word)) >= 0), None)
        if defect is not None:
            return f"the log tells of a defect: {log[max(0, defect - 500) : defect + 2000]}"
        peak = self.server.rss_peak_bytes() or 0
        return f"it took {peak} bytes of memory" if peak > MOST_MEMORY_BYTES else ""


@dataclass
class Fuzz:
    """One misbehaving peer, if it was reached, and whether it was let in as a WebSocket."""

    peer: Peer | None
    token: str
    upgraded: bool = False


class Machine(RuleBasedStateMachine):
    """One example: peers come, misbehave and go.

    What the monitor does changes nothing of what is done next, nor does it end an example early:
    else no example could be repeated. What it does wrong is noted and told at the end.
    """

    def __init__(self, fuzzed: Fuzzed) -> None:
        super().__init__()
        fuzzed.start()
        self._fuzzed = fuzzed
        self._run = fuzzed.run
        self._bench = Bench(fuzzed.server, "FZ1")
        self._tokens = {
            kind: self._run(self._bench.token(kind)) for kind in ("subscribe", "publish", "admin")
        }
        self._pair = self._run(self._bench.pair())
        self._listened_s = time.monotonic()
        self._peers: list[Fuzz] = []
        self._wrong: list[str] = []

    # What peers do

    @precondition(lambda self: len(self._peers) < _PEERS)
    @rule(
        kind=st.sampled_from(["subscribe", "publish", "admin"]),
        method=st.sampled_from(["header", "query", "message"]),
        silent=st.booleans(),
    )
    def come_in(self, kind: str, method: str, silent: bool) -> None:
        """Open a session the right way."""
        token = self._tokens[kind]
        credentials = self._bench.credentials(token, method)
        query = "stream=off" if silent else ""
        one = self._connect(token)
        if one.peer is None:
            return
        request = self._bench.handshake_request(credentials, query=query)
        answer = self._run(one.peer.request(request))
        one.upgraded = answer.upgraded
        if not answer.upgraded:
            self._wrong.append(f"an honest handshake got {answer}")
        elif credentials.message is not None:
            self._run(one.peer.send_text(credentials.message))

    @precondition(lambda self: len(self._peers) < _PEERS)
    @rule(
        method=grammar.METHODS,
        path=grammar.PATHS,
        dropped=st.lists(st.sampled_from(["Host", "Upgrade", "Sec-WebSocket-Key"]), max_size=1),
        headers=st.lists(grammar.HEADERS, max_size=3),
        mutations=grammar.MUTATIONS,
        body=st.sampled_from([b"", b"", b"5\r\nhello\r\n", b"x" * 3000]),
        pieces=st.integers(1, 3),
    )
    def knock(
        self,
        method: str,
        path: grammar.Many,
        dropped: list[str],
        headers: list[tuple[str, str]],
        mutations: list[grammar.Mutation],
        body: bytes,
        pieces: int,
    ) -> None:
        """Send a bent handshake, perhaps in pieces; what comes afterwards follows at once."""
        request = self._bench.handshake_request().without(*dropped).with_headers(*headers)
        _, _, head = request.encode().partition(b"\r\n")
        line = method.encode() + b" " + bytes(path) + b" HTTP/1.1\r\n"
        sent = grammar.mutated(line + head, mutations) + body
        one = self._connect(self._tokens["subscribe"])
        size = len(sent) // pieces + 1
        for at in range(0, len(sent), size):
            self._send(one, sent[at : at + size], "handshake")

    @precondition(lambda self: self._peers)
    @rule(
        who=st.integers(0, _PEERS),
        message=grammar.MESSAGES,
        mutations=grammar.MUTATIONS,
        cuts=st.lists(st.floats(0, 1), max_size=3),
        between=st.lists(st.tuples(grammar.OPCODES, grammar.PAYLOADS), max_size=1),
    )
    def say(
        self,
        who: int,
        message: object,
        mutations: list[grammar.Mutation],
        cuts: list[float],
        between: list[tuple[int, grammar.Many]],
    ) -> None:
        """Send a message, in fragments, with other frames between them."""
        one = self._of(who)
        text = grammar.mutated(grammar.encoded(message, one.token), mutations)
        others = [
            grammar.frame(bytes(payload), opcode, grammar.Shape()) for opcode, payload in between
        ]
        self._send(one, grammar.fragments(text, cuts, others), "message")

    @precondition(lambda self: self._peers)
    @rule(who=st.integers(0, _PEERS), text=grammar.ODD_TEXTS)
    def say_something_odd(self, who: int, text: grammar.Many) -> None:
        """Send JSON no encoder writes."""
        self._send(
            self._of(who), grammar.frame(bytes(text), Opcode.TEXT, grammar.Shape()), "odd text"
        )

    @precondition(lambda self: self._peers)
    @rule(
        who=st.integers(0, _PEERS),
        opcode=grammar.OPCODES,
        payload=grammar.PAYLOADS,
        shape=grammar.SHAPES,
        times=st.sampled_from([1, 1, 1, 20]),
    )
    def send_frames(
        self, who: int, opcode: int, payload: grammar.Many, shape: grammar.Shape, times: int
    ) -> None:
        """Send a frame with any bits, perhaps often."""
        repeated = times if payload.times == 1 else 1
        sent = grammar.frame(bytes(payload), opcode, shape) * repeated
        self._send(self._of(who), sent, "frames")

    @precondition(lambda self: self._peers)
    @rule(who=st.integers(0, _PEERS), data=st.binary(max_size=64))
    def send_bytes(self, who: int, data: bytes) -> None:
        """Send anything."""
        self._send(self._of(who), data, "bytes")

    @precondition(lambda self: self._peers)
    @rule(who=st.integers(0, _PEERS))
    def listen(self, who: int) -> None:
        """Read what has come; a WebSocket hears legal frames, and only objects in them."""
        one = self._of(who)
        if one.peer is None:
            return
        if not one.upgraded:
            self._run(_drain(one.peer))
            return
        heard = self._run(one.peer.receive(0.01))
        if heard.kind == "violation":
            self._wrong.append(f"the monitor broke the protocol: {heard.text}")
        if heard.kind == "text" and not _is_object(heard.text):
            self._wrong.append(f"the monitor said {heard.text[:200]}, which is no JSON object")

    @precondition(lambda self: self._peers)
    @rule(who=st.integers(0, _PEERS), how=st.sampled_from(["finish", "close", "abort"]))
    def go(self, who: int, how: str) -> None:
        """Finish, close or reset the connection."""
        one = self._of(who)
        if one.peer is not None:
            getattr(one.peer.stream, how)()
        if how != "finish":
            self._peers.remove(one)

    # What must hold

    def teardown(self) -> None:
        unheard_s = time.monotonic() - self._listened_s
        try:
            if unheard_s >= (self._bench.promises.ping_answer_deadline_s or math.inf):
                # On a busy machine it had no turn to answer a ping in time. It comes anew.
                self._pair = self._run(self._bench.pair())
            served_s = self._run(self._pair.measure(SERVED_WITHIN_S))
            note(f"the honest pair waited {served_s * 1000:.1f} ms")
        except NotServedError as error:
            self._wrong.append(f"the honest pair is not served any more: {error}")
        finally:
            self._run(self._bench.close())
        wrong = "; ".join(filter(None, [*self._wrong, self._fuzzed.blemish()]))
        assert not wrong, wrong
        self._fuzzed.seen += 1

    def _connect(self, token: str) -> Fuzz:
        try:
            peer = self._run(self._bench.connect())
        except UnreachableError as error:
            self._wrong.append(f"no connection: {error}")
            peer = None
        one = Fuzz(peer, token)
        self._peers.append(one)
        return one

    def _of(self, who: int) -> Fuzz:
        return self._peers[who % len(self._peers)]

    def _send(self, one: Fuzz, data: bytes, what: str) -> None:
        """Send; the monitor may hang up, or take no more of a peer that does not read."""
        if one.peer is not None:
            self._run(one.peer.send(data, what, within=0.2))


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


async def _drain(peer: Peer) -> None:
    with contextlib.suppress(StreamEndedError):  # it may hang up on whom it did not let in
        await peer.stream.receive(0.01)
