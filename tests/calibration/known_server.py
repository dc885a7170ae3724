"""A broadcaster whose every delay and fault is known, because it writes down what it did.

`python -m tests.calibration.known_server [--host H] [--log FILE] BEHAVIOUR…` prints one JSON line
with its URL. Text a client publishes goes to every client that has not published; between reading
and writing an event it behaves as told (see `behaviour`), one behaviour after the other: each run
identifier it meets begins the next, and the last one stays. On SIGTERM it writes FILE: for every
event when it was read and when its first byte was written (CLOCK_MONOTONIC, ns), so that the
delay that was really injected is known, whatever the scheduler made of the one asked for.

Standard library only: it shares no code with the monitor, nor with the load client.
"""

import argparse
import base64
import contextlib
import ctypes
import hashlib
import heapq
import json
import re
import select
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType

from tests.calibration.behaviour import Behaviour, parse

_EVENT = re.compile(rb"wsp-([0-9a-f]+)-(\d{9})")
_ACCEPT_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_NOTICE = b'{"type":"gap","omitted":1}'
_PR_SET_TIMERSLACK = 29


class _Stopped(Exception):  # noqa: N818 - a signal, not an error
    """Asked to stop."""


@dataclass
class Account:
    """What was done in one run: `events` are (number, read at, written at), times in ns.

    An event that was lost or left out was written at 0.
    """

    run: str
    behaviour: str
    events: list[tuple[int, int, int]] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    doubled: list[int] = field(default_factory=list)
    swapped: list[int] = field(default_factory=list)
    thinned: list[int] = field(default_factory=list)
    stalls: list[tuple[int, int]] = field(default_factory=list)


class Peer:
    """One client: what it sent and was not looked at yet, and how far it has come."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.unread = bytearray()
        self.open = False
        self.publishes = False


class KnownServer:
    """A select loop over a listening socket, its peers, and what is due to be written."""

    def __init__(self, listener: socket.socket, behaviours: list[Behaviour]) -> None:
        self._listener = listener
        self._behaviours = behaviours
        self._behaviour = behaviours[0]
        self._peers: dict[socket.socket, Peer] = {}
        #: What is held back: when it is due, which events with when they were read, their frames.
        self._held: list[tuple[int, list[tuple[int, int]], bytes]] = []
        #: An event that waits for the next one to go first, and its frame.
        self._swapped: tuple[list[tuple[int, int]], bytes] = ([], b"")
        self.accounts: list[Account] = []

    def serve(self) -> None:
        """Serve until an exception ends it."""
        while True:
            readable, _, _ = select.select([self._listener, *self._peers], [], [], self._wait_s())
            for sock in readable:
                if sock is self._listener:
                    self._accept()
                else:
                    self._read(self._peers[sock])
            self._release()

    def _wait_s(self) -> float | None:
        if not self._held:
            return None
        return max(0.0, (self._held[0][0] - time.monotonic_ns()) / 1e9)

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peers[sock] = Peer(sock)

    def _read(self, peer: Peer) -> None:
        try:
            chunk = peer.socket.recv(262_144)
        except OSError:
            chunk = b""  # a reset ends a peer like an orderly end
        read_at = time.monotonic_ns()
        peer.unread += chunk
        if not chunk:
            self._drop(peer)
        elif not peer.open:
            self._shake_hands(peer)
        else:
            for opcode, payload in frames(peer.unread):
                if opcode == 0x8:
                    self._drop(peer)
                    return
                if opcode == 0x1:
                    peer.publishes = True
                    self._take(payload, read_at)

    def _shake_hands(self, peer: Peer) -> None:
        head, separator, rest = bytes(peer.unread).partition(b"\r\n\r\n")
        if not separator:
            return
        key = re.search(rb"(?im)^sec-websocket-key: *(\S+)", head)
        if key is None:
            self._drop(peer)
            return
        accept = base64.b64encode(hashlib.sha1(key[1] + _ACCEPT_KEY).digest())  # noqa: S324 - RFC 6455
        peer.socket.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        peer.unread = bytearray(rest)
        peer.open = True

    def _take(self, payload: bytes, read_at: int) -> None:
        """Decide what becomes of one event."""
        found = _EVENT.search(payload)
        if found is None:
            return
        run, number = found[1].decode(), int(found[2])
        if not self.accounts or self.accounts[-1].run != run:
            self._begin(run)
        account, behaviour = self.accounts[-1], self._behaviour
        if behaviour.stall is not None and behaviour.stall[0] == number:
            begun = time.monotonic_ns()
            time.sleep(behaviour.stall[1])
            account.stalls.append((begun, time.monotonic_ns()))
        frame = text_frame(payload)
        if behaviour.does("lose", number):
            account.lost.append(number)
            account.events.append((number, read_at, 0))
            return
        if behaviour.does("thin", number):
            account.thinned.append(number)
            account.events.append((number, read_at, 0))
            self._write(text_frame(_NOTICE))
            return
        if behaviour.does("swap", number):
            account.swapped.append(number)
            self._swapped = ([(number, read_at)], frame)
            return
        if behaviour.does("double", number):
            account.doubled.append(number)
            frame += frame
        late, late_frame = self._swapped
        self._swapped = ([], b"")
        due = read_at + round(behaviour.delay_s(number) * 1e9)
        heapq.heappush(self._held, (due, [(number, read_at), *late], frame + late_frame))

    def _begin(self, run: str) -> None:
        self._behaviour = self._behaviours[min(len(self.accounts), len(self._behaviours) - 1)]
        self._swapped = ([], b"")
        self.accounts.append(Account(run, self._behaviour.text))

    def _release(self) -> None:
        """Write what is due, oldest first."""
        while self._held and self._held[0][0] <= time.monotonic_ns():
            _, events, joined = heapq.heappop(self._held)
            written_at = time.monotonic_ns()
            self._write(joined)
            self.accounts[-1].events += [(*event, written_at) for event in events]

    def _write(self, frame: bytes) -> None:
        for peer in list(self._peers.values()):
            if peer.open and not peer.publishes:
                try:
                    peer.socket.sendall(frame)
                except OSError:
                    self._drop(peer)

    def _drop(self, peer: Peer) -> None:
        if self._peers.pop(peer.socket, None) is not None:
            peer.socket.close()


def frames(unread: bytearray) -> list[tuple[int, bytes]]:
    """Take every whole client frame out of `unread`: opcode and unmasked payload (RFC 6455 5.2)."""
    found = []
    while len(unread) >= 6:
        size, at = unread[1] & 0x7F, 2
        if size > 125:
            width = 2 if size == 126 else 8
            if len(unread) < 2 + width:
                break
            size, at = int.from_bytes(unread[2 : 2 + width]), 2 + width
        stop = at + 4 + size
        if len(unread) < stop:
            break
        mask = (bytes(unread[at : at + 4]) * (size // 4 + 1))[:size]
        masked = int.from_bytes(unread[at + 4 : stop])
        payload = (masked ^ int.from_bytes(mask)).to_bytes(size)
        found.append((unread[0] & 0x0F, payload))
        del unread[:stop]
    return found


def text_frame(payload: bytes) -> bytes:
    """Return one text message as a server writes it."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65_536:
        return b"\x81\x7e" + size.to_bytes(2) + payload
    return b"\x81\x7f" + size.to_bytes(8) + payload


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise _Stopped


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--log", type=Path)
    parser.add_argument("behaviours", nargs="+", type=parse)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _stop)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1, 0, 0, 0)
    with socket.create_server((options.host, 0), backlog=1024) as listener:
        port = listener.getsockname()[1]
        print(json.dumps({"url": f"ws://{options.host}:{port}/"}), flush=True)
        server = KnownServer(listener, options.behaviours)
        with contextlib.suppress(_Stopped):
            server.serve()
    if options.log is not None:
        options.log.write_text(json.dumps([asdict(account) for account in server.accounts]))


if __name__ == "__main__":
    main()
