"""Many subscribers on one epoll: reads, stamps, then counts.

Runs inside gevent's loop as one watcher on the epoll descriptor itself, a bounded turn at a
time, so that a flood cannot starve Locust's runner. What is ready is read and stamped first;
bytes are parsed and counted when nothing is ready, so that counting delays no receipt.
"""

import errno
import os
import select
import socket
import struct
from collections import deque
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent.monkey import get_original

from loadtests.accounting.latencies import Latencies
from loadtests.accounting.ledger import Ledger
from loadtests.accounting.looplag import LoopLag
from loadtests.accounting.thinning import left_out
from loadtests.accounting.unread import Backlog, Unread, left_in, room_of
from loadtests.bounds import RECEIVE_BUFFER_BYTES
from loadtests.connections.connection import Connection, Position, Stage
from loadtests.connections.tls import Tls, tls_context
from loadtests.schedule.timetable import now_ns
from loadtests.subscriber import Subscriber
from monitor.contract.target import Credentials, Target

READ_BYTES = 262_144

#: That of one who will stop reading: what the kernel takes on its behalf is not the service's.
STALLING_BUFFER_BYTES = 65_536

#: Sockets read in one slice: well under a millisecond before everybody else gets a turn.
SLICE = 64

#: A broadcast reaches its subscribers one after the other. Staying awake this long for the next
#: one is cheaper, for both sides, than being woken for each.
LINGER_NS = 30_000

#: Chunks counted before sockets are looked at again: some tens of microseconds.
COUNTED_TOGETHER = 8

#: Counting is put off up to this much: the memory a flood may take.
UNCOUNTED_BYTES = 16 * 1024 * 1024

#: The longest turn, however much there is to read: then Locust's greenlets have theirs.
TURN_NS = 2_000_000


class Receivers:
    """Every subscriber of one process."""

    def __init__(self, target: Target, peer: tuple[str, int], mark: bytes) -> None:
        self._target = target
        self._peer = peer
        self._mark = mark
        self._tls = tls_context(target)
        self._host = urlsplit(target.url).hostname or ""
        self._thinned = (target.publish.thinned or "").encode()
        self._epoll = get_original("select", "epoll")()
        self._by_descriptor: dict[int, Subscriber] = {}
        self._watcher: Any = None
        #: How late this loop reads what is there.
        self.lag = LoopLag()
        self._unread = Unread()
        #: The size of each receive buffer; 0 before there is one.
        self.room_bytes = 0
        #: Chunks read and not yet counted, oldest first: whose, what, when, and how it ended.
        self._pending: deque[tuple[Subscriber, bytes, int, str]] = deque()
        self._uncounted_bytes = 0
        self._same: tuple[bytes, list[int], bool] = (b"", [], False)
        self.subscribers: list[Subscriber] = []
        self.latencies: Latencies | None = None
        #: Every socket is closed, and none may be opened any more.
        self.over = False
        #: A defect of ours met while reading; the run cannot go on.
        self.failure: BaseException | None = None

    def start(self) -> None:
        """Let gevent's loop call `turn` whenever a socket has something to say."""
        self.lag.start()
        if self.lag.descriptor >= 0:
            self._epoll.register(self.lag.descriptor, select.EPOLLIN)
        self._watcher = gevent.get_hub().loop.io(self._epoll.fileno(), 1)
        self._watcher.start(self._guarded)

    def stop(self) -> None:
        """Close every socket and stop watching."""
        self.over = True
        if self._watcher is not None:
            self._watcher.stop()
            self._watcher.close()
            self._watcher = None
        for subscriber in list(self._by_descriptor.values()):
            self._forget(subscriber)
        self.lag.stop()
        self._epoll.close()

    def connect(
        self,
        seat: int,
        address: str | None,
        credentials: Credentials,
        *,
        aside: bool = False,
        tracks: bool = False,
        resumes: Position | None = None,
    ) -> Subscriber:
        """Begin to connect a client from `address`; `on_settled` tells the outcome.

        It counts as a subscriber once it is among `subscribers`.
        """
        host = self._peer[0]
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = get_original("socket", "socket")(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        buffer = STALLING_BUFFER_BYTES if aside else RECEIVE_BUFFER_BYTES
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        if not aside:
            self.room_bytes = room_of(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = Connection(
            self._target,
            credentials,
            self._mark,
            subscribes=True,
            tls=None if self._tls is None else Tls(self._tls, self._host),
            tracks=tracks,
            resumes=resumes,
        )
        subscriber = Subscriber(seat, address, connection, sock, aside=aside)
        self._by_descriptor[sock.fileno()] = subscriber
        if address is not None:
            sock.bind((address, 0))
        status = sock.connect_ex(self._peer)
        self._epoll.register(sock.fileno(), select.EPOLLIN | select.EPOLLOUT)
        if status not in {0, errno.EINPROGRESS}:
            self._lost(subscriber, os.strerror(status))
        return subscriber

    def give_up(self, subscriber: Subscriber, after_s: float) -> None:
        """End a subscriber that did not become ready in time."""
        self._lost(subscriber, f"not ready within {after_s:g} s")

    def farewell(self, subscriber: Subscriber) -> None:
        """From here on a subscriber expects nothing that is due later."""
        subscriber.leaving = True
        if self.latencies is not None and subscriber.ledger.left is None:
            subscriber.ledger.left = self.latencies.timetable.due_before(now_ns())

    def leave(self, subscriber: Subscriber) -> None:
        """Close one subscriber by our own will; it expects nothing from here on."""
        if subscriber.connection.stage is Stage.CLOSED:
            return
        self.farewell(subscriber)
        subscriber.connection.leave()
        self._write(subscriber)
        self._lost(subscriber, "left")

    def cut(self, subscriber: Subscriber) -> None:
        """Drop a connection without a word; what was read before counts."""
        self.settle()
        if subscriber.connection.stage is Stage.CLOSED:
            return
        subscriber.leaving = True
        # Zero linger: a reset, as from a client that is gone.
        linger = struct.pack("ii", 1, 0)
        subscriber.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._lost(subscriber, "cut")

    def stall(self, subscriber: Subscriber, *, stalled: bool) -> None:
        """Stop reading from a subscriber, or go on."""
        subscriber.stalled = stalled
        if subscriber.socket.fileno() >= 0:
            self._write(subscriber)

    def measure(self, latencies: Latencies, window_first: int) -> None:
        """From here on count arrivals; every subscriber that is ready now expects everything."""
        self.latencies = latencies
        for subscriber in self.subscribers:
            subscriber.ledger = Ledger(window_first)

    def turn(self) -> None:
        """Read what is ready and what comes right behind it; count when nothing is ready."""
        started = quiet = now_ns()
        while True:
            if self._read() and self._uncounted_bytes < UNCOUNTED_BYTES:
                quiet = now_ns()
            elif self._pending:
                self._count_some()
                quiet = now_ns()
            now = now_ns()
            if now - started > TURN_NS:
                break
            if now - quiet > LINGER_NS:
                return
        if self._pending:
            gevent.get_hub().loop.run_callback(self._guarded)

    def settle(self) -> None:
        """Count everything that was read."""
        while self._pending:
            self._count_some()

    def _read(self) -> bool:
        """Read and stamp at most one slice of ready sockets; False if nothing was ready."""
        ready = self._epoll.poll(0, SLICE)
        waiting = longest = periods = 0
        for descriptor, mask in ready:
            subscriber = self._by_descriptor.get(descriptor)
            if subscriber is None:
                if descriptor == self.lag.descriptor:
                    periods = self.lag.read()
                continue
            if mask & select.EPOLLOUT:
                self._write(subscriber)
            if mask & ~select.EPOLLOUT and descriptor in self._by_descriptor:
                found = self._receive(subscriber, descriptor)
                waiting += found
                if found > longest:
                    longest = found
        last = len(ready) < SLICE or self._unread.sockets + len(ready) >= len(self._by_descriptor)
        self._unread.add(waiting, longest, len(ready), periods, last=last)
        return bool(ready)

    def _receive(self, subscriber: Subscriber, descriptor: int) -> int:
        """Read and stamp one socket; its end is counted after all that came before it.

        Returns how many bytes waited in its queue; 0 of one that stalls by the scenario's will.
        """
        ending = "the target closed the transport"
        try:
            chunk = subscriber.receive(READ_BYTES)
        except BlockingIOError:
            return 0
        except OSError as error:
            chunk, ending = b"", error.strerror or str(error)
        self._pending.append((subscriber, chunk, now_ns(), ending))
        self._uncounted_bytes += len(chunk)
        if not chunk:
            del self._by_descriptor[descriptor]
            self._epoll.unregister(descriptor)
        if subscriber.aside:
            return 0
        more = left_in(subscriber.socket) if len(chunk) == READ_BYTES else 0
        return len(chunk) + more

    def backlog(self, start_ns: int, end_ns: int) -> Backlog:
        """Return what waited unread in this time."""
        return self._unread.between(self.lag.periods(start_ns, end_ns))

    def _count_some(self) -> None:
        """Count the oldest chunks, a handful at a time."""
        for _ in range(min(COUNTED_TOGETHER, len(self._pending))):
            subscriber, chunk, at_ns, ending = self._pending.popleft()
            self._uncounted_bytes -= len(chunk)
            if chunk:
                self._count(subscriber, chunk, at_ns)
            else:
                self._lost(subscriber, ending)

    def _guarded(self) -> None:
        if self.over:
            return  # a turn that was asked for before
        try:
            self.turn()
        except Exception as error:  # noqa: BLE001 - kept for the conductor, who ends the run
            self.failure = error
            self._watcher.stop()

    def _count(self, subscriber: Subscriber, chunk: bytes, at_ns: int) -> None:
        if subscriber.connection.secure:
            chunk = self._opened(subscriber, chunk)
            if not chunk:
                return
        same, numbers, consecutive = self._same
        walker = subscriber.connection.walker
        known = chunk == same and walker.between_messages and subscriber.ready
        if not known or walker.keeps_last:
            numbers, consecutive = self._walk(subscriber, chunk, at_ns)
        if numbers and self.latencies is not None:
            first = subscriber.ledger.admit(numbers, consecutive)
            if first and not subscriber.aside:
                self.latencies.add(first, at_ns)

    def _opened(self, subscriber: Subscriber, chunk: bytes) -> bytes:
        """Decipher what was read, and send what the handshake wants sent."""
        connection = subscriber.connection
        before = connection.stage
        plain = connection.opened(chunk)
        if connection.outgoing:
            self._write(subscriber)
        if connection.stage is Stage.CLOSED and before is not Stage.CLOSED:
            self._ended(subscriber, was_ready=before is Stage.READY)
        return plain

    def _walk(self, subscriber: Subscriber, chunk: bytes, at_ns: int) -> tuple[list[int], bool]:
        """Walk a chunk; remember what was in it, for the next subscriber that gets the same."""
        connection = subscriber.connection
        stage, controls = connection.stage, connection.controls
        clean = connection.walker.between_messages
        numbers = self._known(connection.receive(chunk))
        consecutive = bool(numbers) and numbers == [*range(numbers[0], numbers[0] + len(numbers))]
        if connection.walker.others:
            self._notices(subscriber, numbers)
            clean = False
        if connection.stage is not stage:
            self._moved(subscriber, stage, at_ns)
        elif (
            clean
            and stage is Stage.READY
            and connection.controls == controls
            and connection.walker.between_messages
            and not connection.walker.keeps_last
        ):
            self._same = (chunk, numbers, consecutive)
        if connection.outgoing:
            self._write(subscriber)
        return numbers, consecutive

    def _known(self, numbers: list[int]) -> list[int]:
        """Leave out numbers that nothing was published under: a target altered what it was sent."""
        if self.latencies is None or not numbers or max(numbers) < self.latencies.timetable.events:
            return numbers
        return [number for number in numbers if number < self.latencies.timetable.events]

    def _notices(self, subscriber: Subscriber, numbers: list[int]) -> None:
        """Note what the service says it left out; other messages are none of ours.

        `numbers` are the events of the same chunk.
        """
        others, subscriber.connection.walker.others = subscriber.connection.walker.others, []
        if not self._thinned:
            return
        for text, behind in others:
            said = self._thinned in text and left_out(self._target.publish, text)
            if said:
                subscriber.ledger.announced(max(numbers[:behind], default=-1), *said)

    def _moved(self, subscriber: Subscriber, before: Stage, at_ns: int) -> None:
        """React to a new stage of a connection."""
        stage = subscriber.connection.stage
        if stage is Stage.READY:
            subscriber.admitted = True
            subscriber.settled_at_ns = at_ns
            if self.latencies is not None and not subscriber.resumed:
                subscriber.ledger = self._latecomer(self.latencies)
            subscriber.on_settled()
        elif stage is Stage.CLOSED:
            self._ended(subscriber, was_ready=before is Stage.READY)

    def _latecomer(self, latencies: Latencies) -> Ledger:
        """A subscriber that joins a running schedule expects what is due from now on."""
        timetable = latencies.timetable
        return Ledger(timetable.window_first, joined=timetable.due_before(now_ns()))

    def _write(self, subscriber: Subscriber) -> None:
        outgoing = subscriber.connection.outgoing
        try:
            if outgoing:
                del outgoing[: subscriber.socket.send(outgoing)]
        except BlockingIOError:
            pass  # epoll tells when there is room
        except OSError as error:
            self._lost(subscriber, error.strerror or str(error))
            return
        if subscriber.socket.fileno() not in self._by_descriptor:
            return  # its end was read and waits to be counted
        wanted = (0 if subscriber.stalled else select.EPOLLIN) | (
            select.EPOLLOUT if outgoing else 0
        )
        self._epoll.modify(subscriber.socket.fileno(), wanted)

    def _lost(self, subscriber: Subscriber, reason: str) -> None:
        was_ready = subscriber.ready
        subscriber.connection.lost(reason)
        self._ended(subscriber, was_ready=was_ready)

    def _ended(self, subscriber: Subscriber, *, was_ready: bool) -> None:
        if subscriber.socket.fileno() < 0:
            return
        if not subscriber.leaving:
            subscriber.dropped = was_ready
        subscriber.ended_at_ns = now_ns()
        self._forget(subscriber)
        if not was_ready:
            subscriber.settled_at_ns = now_ns()
            subscriber.on_settled()
        subscriber.on_ended()

    def _forget(self, subscriber: Subscriber) -> None:
        descriptor = subscriber.socket.fileno()
        if self._by_descriptor.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)
        subscriber.socket.close()
