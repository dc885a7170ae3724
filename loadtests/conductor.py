"""Conducts one repeat inside the Locust process: wait for clients, play, drain, sum up.

What happens meanwhile stands in the assignment's point; the `Crowd` carries it out.

One greenlet. It starts the publisher, hands it the schedule once every client is connected, and
leaves a `RepeatResult` behind, whole or cut short.
"""

import gc
import time
from collections.abc import Callable

import gevent
import msgspec
import numpy as np
from gevent.event import Event
from numpy.typing import NDArray

from loadtests import passage
from loadtests.accounting import part as parts
from loadtests.accounting.histogram import Recorder
from loadtests.accounting.latencies import BATCH, INTERVAL_NS, Latencies
from loadtests.accounting.ledger import Ledger
from loadtests.assignment import Assignment, load_schedule
from loadtests.connections.frames import marker
from loadtests.crowd import Crowd
from loadtests.publishing.player import Outcome
from loadtests.publishing.process import Publisher, Publishing
from loadtests.receivers import Receivers
from loadtests.results import UNBEGUN, Progress, RepeatResult, Restart
from loadtests.schedule.timetable import ACKNOWLEDGED, SENT, Timetable, now_ns
from loadtests.subscriber import Subscriber
from loadtests.validity import reasons_against

_TICK_S = 0.25

#: Locust's own statistics are told once a second; it shows nothing finer.
_TALLY_NS = 1_000_000_000

#: An event this long overdue counts as lost so far in the live display.
_OVERDUE_NS = 1_000_000_000


class Standing(msgspec.Struct, frozen=True):
    """How a repeat stands; `events` are those due so far, deliveries those owed and come."""

    response: Recorder
    service: Recorder
    clients: int
    events: int
    expected: int
    received: int
    lost: int
    verdict: str


class Conductor:
    """Runs one assignment; `users` of Locust come to it for their connections."""

    def __init__(
        self,
        assignment: Assignment,
        tell: Callable[[Progress | Restart], None],
        on_tick: Callable[[Latencies], None],
        publish: Callable[[Assignment], Publisher] = Publishing,
    ) -> None:
        self.assignment = assignment
        self._late_ns = int(assignment.late_us * 1000)
        self._tell = tell
        self._on_tick = on_tick
        self._publish = publish
        self._target = assignment.target
        self.receivers = Receivers(self._target, assignment.peer, marker(assignment.run))
        #: How many clients to wait for; None until Locust has spawned its users.
        self.wanted: int | None = None
        if assignment.clients:
            self.wanted = assignment.clients - len(assignment.point.late_seats)
        self._news = Event()
        self._stop = Event()
        self._interrupted = False
        self._cut_at_ns: int | None = None
        self._started_at_ns = now_ns()
        self._window_start_ns = 0
        self._window_end_ns = 0
        self._tally_ns = 0
        self._clients_at: dict[int, int] = {}
        self._cpu = (0.0, 0.0)
        self._outcome: Outcome | None = None
        #: What it came to, once it is over.
        self.result: RepeatResult | None = None
        self._publisher_fault = ""
        self._nobody: bool | None = None  # no client was let in; unknown without a publisher
        offsets = load_schedule(assignment).offsets_ns
        window_ns = int(assignment.point.warmup_s * 1e9)
        self._timetable = Timetable.create(assignment.timetable, offsets, window_ns)
        self._users = 0
        self.crowd = Crowd(
            assignment, self.receivers, self._timetable, lambda: self._tell(Restart())
        )

    def connect(self, on_ended: Callable[[], None]) -> Subscriber | None:
        """Connect the next client and wait until it is ready or refused.

        None for a seat that stays empty until the schedule says so, or for good because the repeat
        is over. `on_ended` is called when the connection ends for good.
        """
        if self.receivers.over:
            return None
        seat, self._users = self._users, self._users + 1
        settled = Event()
        subscriber = self.crowd.first(seat)
        if subscriber is None:
            return None
        subscriber.on_settled = settled.set
        if not self.assignment.point.moves:
            subscriber.on_ended = on_ended
        if not subscriber.settled_at_ns and not settled.wait(self.assignment.connect_s):
            self.receivers.give_up(subscriber, self.assignment.connect_s)
        self._news.set()
        return subscriber

    def expect(self, clients: int) -> None:
        """Wait for so many clients, and then begin."""
        self.wanted = clients
        self._news.set()

    def cut(self, *, interrupted: bool, end_ns: int | None = None) -> None:
        """End the window now, or as if at `end_ns`; what there is gets summed up."""
        self._interrupted = self._interrupted or (interrupted and not self._stop.is_set())
        self._cut_at_ns = self._cut_at_ns or end_ns
        self._stop.set()
        self._news.set()

    def run(self) -> RepeatResult:
        """Conduct the repeat to its end."""
        self.receivers.start()
        publisher = self._publish(self.assignment)
        try:
            if self._await_publisher(publisher):
                self._nobody = not self._await_clients()
            if self._nobody is False and self._play(publisher):
                self._outcome = publisher.finish(now=self._stop.is_set())
                if self._stop.is_set():
                    self._window_end_ns = self._timetable.cut_short(self._window_end_ns)
                self._drain()
                self._on_tick(self._latencies())
        finally:
            self.crowd.stop()
            publisher.end()
            gc.enable()
        result = self.result = self._result()
        self.receivers.stop()
        return result

    def _await_publisher(self, publisher: Publisher) -> bool:
        ready = publisher.ready()
        if ready is None:
            return False
        if not ready.ready:
            self._publisher_fault = f"the publisher was refused: {ready.answer}"
            self._outcome = Outcome(0, 0, 0, 0.0, self._publisher_fault)
        return ready.ready

    def _await_clients(self) -> bool:
        """Wait until every client is ready or refused, at most `connect_s` without news."""
        while not self._stop.is_set():
            settled = sum(bool(one.settled_at_ns) for one in self.receivers.subscribers)
            if self.wanted is not None and settled >= self.wanted:
                break
            self._tell_phase("connecting", 0.0)
            self._news.clear()
            if not self._news.wait(self.assignment.connect_s):
                break
        ready = any(one.ready for one in self.receivers.subscribers)
        return (ready or self.wanted == 0) and not self._stop.is_set()

    def _play(self, publisher: Publisher) -> bool:
        """Play the schedule until its window is over; False if it never began."""
        point, timetable = self.assignment.point, self._timetable
        start_ns = publisher.appoint(
            timetable, sum(one.ready for one in self.receivers.subscribers)
        )
        if start_ns is None:
            return False
        self._window_start_ns = start_ns + int(point.warmup_s * 1e9)
        self._window_end_ns = self._window_start_ns + int(point.window_s * 1e9)
        latencies = Latencies(timetable, self._window_start_ns)
        self.receivers.measure(latencies, timetable.window_first)
        _warm(timetable)
        gc.collect()
        gc.disable()  # a collection would stop the receivers' clock; cycles are few here
        publisher.go()
        self.crowd.play(self._window_start_ns)
        self._watch(latencies, self._window_start_ns)
        cpu_at_start = time.process_time()
        self._watch(latencies, self._window_end_ns)
        if self._stop.is_set():
            self._window_end_ns = min(self._window_end_ns, self._cut_at_ns or now_ns())
        self._cpu = (cpu_at_start, time.process_time())
        return True

    def _watch(self, latencies: Latencies, until_ns: int) -> None:
        """Tick until an instant, or until told to stop, or until nothing can come any more."""
        while (left_ns := until_ns - now_ns()) > 0:
            if self._stop.wait(min(_TICK_S, left_ns / 1e9)) or self._over():
                return
            self._tick(latencies)

    def _over(self) -> bool:
        return self.receivers.failure is not None

    def _tick(self, latencies: Latencies) -> None:
        latencies.flush()  # what waits to be counted is not lost
        now = now_ns()
        ready = sum(one.ready for one in self.receivers.subscribers)
        timed = sum(one.ready and not one.aside for one in self.receivers.subscribers)
        latencies.spread.median_rank = max(1, (timed + 1) // 2)
        if now >= self._window_start_ns:
            self._clients_at[(now - self._window_start_ns) // INTERVAL_NS] = ready
        if now >= self._tally_ns:
            self._tally_ns = now + _TALLY_NS
            self._on_tick(latencies)
        total = self._window_end_ns - self._started_at_ns
        self._tell(
            Progress(
                phase="warming up" if now < self._window_start_ns else "measuring",
                done=min(1.0, (now - self._started_at_ns) / total),
                clients=ready,
                events_per_s=self._complete_per_s(latencies, now),
                p99_us=latencies.response.percentile_us(99),
                lost=self._lost_so_far(latencies, now),
                p50_us=latencies.response.percentile_us(50),
            )
        )

    def _complete_per_s(self, latencies: Latencies, now: int) -> float:
        """Events of the last whole second before the overdue ones that reached everybody."""
        high = self._timetable.due_before(now - _OVERDUE_NS)
        low = self._timetable.due_before(now - _OVERDUE_NS - INTERVAL_NS)
        low = max(low, self._timetable.window_first)
        ready = sum(one.ready and not one.aside for one in self.receivers.subscribers)
        arrivals = latencies.spread.arrivals[low : max(low, high)]
        return float((arrivals >= max(1, ready)).sum())

    def _lost_so_far(self, latencies: Latencies, now: int) -> int:
        overdue = self._timetable.due_before(now - _OVERDUE_NS)
        owed = sum(one.expected(overdue) - one.thinned for one in self._ledgers())
        return max(0, owed - latencies.response.count)

    def standing(self) -> Standing | None:
        """Return how the repeat stands; None before there is anything to say."""
        latencies = self.receivers.latencies
        if latencies is None:
            return None
        latencies.flush()
        overdue = self._timetable.due_before(now_ns() - _OVERDUE_NS)
        overdue = min(overdue, self._end()) if self._window_end_ns else overdue
        lost = self._lost_so_far(latencies, now_ns())
        received = latencies.response.count
        return Standing(
            response=latencies.response,
            service=latencies.service,
            clients=sum(one.ready for one in self.receivers.subscribers),
            events=max(0, overdue - self._timetable.window_first),
            expected=received + lost,
            received=received,
            lost=lost,
            verdict=self._verdict(),
        )

    def _verdict(self) -> str:
        """What can be said of this repeat by itself; a run's verdict needs all of them."""
        if self.result is None:
            return "measuring"
        reasons = reasons_against(self.result, {"response_mean_us": 10 * self.assignment.late_us})
        return f"INVALID: {reasons[0]}" if reasons else "VALID, this repeat by itself"

    def _ledgers(self, *, aside: bool = False) -> list[Ledger]:
        """The books of everybody who was there; a resumed connection's are kept once."""
        there = [one for one in self.receivers.subscribers if one.admitted and one.aside is aside]
        return list({id(one.ledger): one.ledger for one in there}.values())

    def _latencies(self) -> Latencies:
        assert self.receivers.latencies is not None  # noqa: S101 - set by `_play`
        return self.receivers.latencies

    def _drain(self) -> None:
        """Wait until everything that was sent has arrived, at most `drain_s`."""
        latencies = self._latencies()
        self._tell_phase("draining", 1.0)
        deadline = time.monotonic() + self.assignment.drain_s
        end = self._end()
        unsent = (self._timetable.fate & SENT) == 0
        audience = parts.Audience(self._ledgers(), end, unsent, ~unsent)
        while time.monotonic() < deadline and self.receivers.failure is None:
            latencies.flush()
            thinned = sum(audience.thinned(one) for one in self._ledgers())
            open_ones = any(one.ready for one in self.receivers.subscribers)
            due = audience.size[self._timetable.window_first :].sum() - thinned
            if not open_ones or (latencies.response.count >= due and not self._behind(audience)):
                return
            gevent.sleep(0.01)  # deliveries announce themselves to the receivers only

    def _behind(self, audience: parts.Audience) -> bool:
        """Tell whether somebody still waits for something it was not told was left out."""
        ledgers = [*self._ledgers(), *self._ledgers(aside=True)]
        return any(audience.missing(one) > audience.thinned(one) for one in ledgers)

    def _void(self, outages: tuple[tuple[int, int], ...]) -> NDArray[np.bool_]:
        """Tell of each event whether nobody is owed it: not acknowledged during an outage."""
        void = np.zeros(self._timetable.events, dtype=bool)
        for low, high in outages:
            void[low:high] = (self._timetable.fate[low:high] & ACKNOWLEDGED) == 0
        return void

    def _end(self) -> int:
        """The first event that is not measured: due after the window's end."""
        return self._timetable.due_before(self._window_end_ns) if self._window_end_ns else 0

    def _result(self) -> RepeatResult:
        self.receivers.settle()
        end = self._end()
        latencies = self.receivers.latencies or Latencies(self._timetable, self._window_start_ns)
        window_s = max(0.0, (self._window_end_ns - self._window_start_ns) / 1e9)
        cpu_s = self._cpu[1] - self._cpu[0]
        outcome = self._outcome
        failure = self.receivers.failure
        played_s = max(1e-9, window_s + self.assignment.point.warmup_s)
        crowd = self.crowd
        unbegun = self._stop.is_set() and not self._window_start_ns
        part = parts.measure(
            self.receivers.subscribers,
            crowd.strangers,
            latencies,
            self._clients_at,
            end,
            self._void(outcome.outages if outcome else ()),
            100 * cpu_s / window_s if window_s else 0.0,
            divided=self.assignment.workers > 1,
        )
        window = self._window_start_ns, self._window_end_ns
        backlog, room_bytes = self.receivers.backlog(*window), self.receivers.room_bytes
        return RepeatResult(
            repeat=self.assignment.repeat,
            started_at_ns=self._started_at_ns,
            window_start_ns=self._window_start_ns,
            window_s=window_s,
            interrupted=self._interrupted,
            part=msgspec.structs.replace(
                part,
                returns=tuple(crowd.returns),
                moves=crowd.moves,
                loop_lag=self.receivers.lag.between(*window).state(),
                unread_p99_bytes=backlog.p99_bytes,
                unread_max_bytes=backlog.max_bytes,
                queue_fill_max_percent=(
                    100 * backlog.queue_bytes / room_bytes
                    if room_bytes and backlog.queue_bytes is not None
                    else None
                ),
                receive_room_bytes=room_bytes or None,
                moves_lag_p99_us=crowd.lag_p99_us,
            ),
            passage=passage.review(self._timetable, self._window_start_ns, end, self._late_ns),
            publisher_died=(
                outcome is None and not self._nobody and not self._interrupted and not unbegun
            ),
            publisher_fault=outcome.fault if outcome else self._publisher_fault,
            first_refusal=outcome.first_refusal if outcome else "",
            publisher_cpu_percent=100 * outcome.cpu_s / played_s if outcome else 0.0,
            faults=(
                *((f"the load client failed: {failure!r}",) if failure is not None else ()),
                *crowd.faults,
                *((UNBEGUN,) if unbegun and not self._interrupted else ()),
            ),
            point=self.assignment.point.label,
            counted=self.assignment.point.counted,
            punctual=self.assignment.point.punctual,
            restart_ns=crowd.restart_ns,
        )

    def _tell_phase(self, phase: str, done: float) -> None:
        ready = sum(one.ready for one in self.receivers.subscribers)
        self._tell(Progress(phase, done, ready, 0.0, None, 0))


def _warm(timetable: Timetable) -> None:
    """Walk the counting path once: what numpy does on first use must not fall into the window."""
    numbers = range(timetable.window_first, timetable.events)[:BATCH]
    latencies = Latencies(timetable, 0)
    latencies.add(numbers, now_ns())
    latencies.finish()
