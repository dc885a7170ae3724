"""The cheapest correct broadcaster: what remains of a latency when the service costs nothing.

`python -m loadtests.nullserver` prints one JSON line with its URL. Whatever text a client sends
goes unchanged to every other client. The harness measures itself against it before it measures
anything else; it is no model of a service and keeps no promise.
"""

import select
import signal
import socket
import sys
from types import FrameType

import msgspec
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

_READ_BYTES = 262_144


class _Stopped(Exception):  # noqa: N818 - a signal, not an error
    """Asked to stop."""


class Peer:
    """One client: its socket, its protocol, and what it has not taken yet."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.write = sock.send
        self.protocol = ServerProtocol(max_size=None)
        self.unsent = bytearray()
        self.publishes = False

    @property
    def subscribed(self) -> bool:
        """True if broadcasts go to it: every open client that does not publish itself."""
        return self.protocol.state is State.OPEN and not self.publishes


class Broadcaster:
    """An epoll loop over a listening socket and its peers."""

    def __init__(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._epoll = select.epoll()
        self._epoll.register(listener, select.EPOLLIN)
        self._peers: dict[int, Peer] = {}

    def serve(self) -> None:
        """Serve until an exception ends it."""
        while True:
            for descriptor, mask in self._epoll.poll():
                if descriptor == self._listener.fileno():
                    self._accept()
                elif (peer := self._peers.get(descriptor)) is not None:
                    if mask & select.EPOLLOUT:
                        self._send(peer, b"")
                    if mask & ~select.EPOLLOUT:
                        self._read(peer)

    def frames_for(self, payloads: list[bytes]) -> bytes:
        """Return the bytes each subscriber gets for texts that came in one read."""
        return b"".join(Frame(Opcode.TEXT, payload).serialize(mask=False) for payload in payloads)

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peers[sock.fileno()] = Peer(sock)
        self._epoll.register(sock, select.EPOLLIN)

    def _read(self, peer: Peer) -> None:
        try:
            chunk = peer.socket.recv(_READ_BYTES)
        except OSError:
            chunk = b""  # a reset ends a peer like an orderly end
        if not chunk:
            self._drop(peer)
            return
        peer.protocol.receive_data(chunk)
        payloads: list[bytes] = []
        for event in peer.protocol.events_received():
            if isinstance(event, Request):
                peer.protocol.send_response(peer.protocol.accept(event))
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                payloads.append(bytes(event.data))
        self._send(peer, b"".join(peer.protocol.data_to_send()))
        if payloads:
            peer.publishes = True
            self._broadcast(self.frames_for(payloads))

    def _broadcast(self, joined: bytes) -> None:
        """Write to every subscriber: one call each, and little else."""
        size = len(joined)
        for peer in [peer for peer in self._peers.values() if peer.subscribed]:
            if peer.unsent:
                self._send(peer, joined)
                continue
            try:
                sent = peer.write(joined)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._drop(peer)
                continue
            if sent != size:
                self._send(peer, joined[sent:])

    def _send(self, peer: Peer, joined: bytes) -> None:
        if peer.unsent or not joined:
            peer.unsent += joined
            joined = bytes(peer.unsent)
        if not joined:
            return
        try:
            sent = peer.socket.send(joined)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._drop(peer)
            return
        was_behind = bool(peer.unsent)
        peer.unsent = bytearray(joined[sent:])
        if was_behind != bool(peer.unsent):
            writing = select.EPOLLOUT if peer.unsent else 0
            self._epoll.modify(peer.socket, select.EPOLLIN | writing)

    def _drop(self, peer: Peer) -> None:
        if self._peers.pop(peer.socket.fileno(), None) is not None:
            self._epoll.unregister(peer.socket)
            peer.socket.close()


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise _Stopped


def run(broadcaster: type[Broadcaster]) -> None:
    """Serve on a free port of 127.0.0.1 until SIGTERM."""
    signal.signal(signal.SIGTERM, _stop)
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        sys.stdout.write(msgspec.json.encode({"url": url}).decode() + "\n")
        sys.stdout.flush()
        try:
            broadcaster(listener).serve()
        except _Stopped:
            return


if __name__ == "__main__":
    run(Broadcaster)
