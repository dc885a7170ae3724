"""The master's side of a repeat on several processes: publishes, begins, collects, adds up.

It has no clients of its own. What stands in Locust's place of a conductor is this: the same
words, `run`, `cut`, `expect`.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import msgspec
from gevent.event import AsyncResult, Event

from loadtests import passage
from loadtests.accounting.part import nothing
from loadtests.assignment import Assignment, load_schedule
from loadtests.processes import messages
from loadtests.processes.clocks import Offset, Probe, clock_of_this_process, estimate, over_time
from loadtests.processes.merging import merge, on_our_clock, without_service
from loadtests.processes.messages import Answer, Begin, Cut, Failed, Finished, Question, Settled
from loadtests.publishing.player import Outcome
from loadtests.publishing.process import Publishing
from loadtests.results import UNBEGUN, Part, Progress, RepeatResult
from loadtests.schedule.timetable import Timetable, now_ns

#: Questions to each worker, before and after: the fastest way there and back are found soon.
PROBES = 60

#: A question that is not answered by then is given up.
_ANSWER_S = 1.0

#: From the last word "begin" to the first event: time for it to arrive and be read.
_LEAD_NS = 500_000_000

_TICK_S = 0.25

_FLUSH_S = 0.3

#: Beyond the drain: workers report every three seconds.
_REPORT_S = 10.0


class Member:
    """One worker as the master knows it."""

    def __init__(self, client_id: str, number: int) -> None:
        self.client_id = client_id
        self.number = number
        self.settled: Settled | None = None
        self.failed: Failed | None = None
        self.asked_ns = 0
        self.answer: AsyncResult[Probe] = AsyncResult()
        self.offset = Offset()
        self.same_clock = False
        self.progress: Progress | None = None
        self.result: RepeatResult | None = None

    @property
    def decided(self) -> bool:
        """True once it is known whether it takes part."""
        return bool(self.settled or self.failed or self.result)


class Mail:
    """Locust's connection to the workers, for whichever repeat is being conducted."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self.deliver: Callable[[str, msgspec.Struct], None] = _unread
        #: Called with each report of a worker: its id and what it added.
        self.report: Callable[[str, dict[str, Any]], None] = _unread
        for said in (Settled, Failed, Answer):

            def hear(msg: Any, said: type[Any] = said, **_: Any) -> None:
                self.deliver(msg.node_id, messages.unpack(msg.data, said))

            environment.runner.register_message(messages.kind(said), hear)
        environment.events.worker_report.add_listener(
            lambda client_id, data, **_: self.report(client_id, data)
        )

    @property
    def ready(self) -> list[str]:
        """The workers that wait for work."""
        return sorted(client.id for client in self._environment.runner.clients.ready)

    def say(self, client_id: str, said: msgspec.Struct) -> None:
        """Send a message to one worker."""
        self._environment.runner.send_message(
            messages.kind(type(said)), messages.pack(said), client_id=client_id
        )

    def dismiss(self) -> None:
        """Send every worker home: there will be no repeat."""
        self._environment.runner.send_message("quit")
        gevent.sleep(_FLUSH_S)  # Locust tells nobody when a message has left


def _unread(_client_id: str, _said: Any) -> None:
    """Nobody conducts anything."""


class Master:
    """Conducts one repeat whose clients are the workers'."""

    def __init__(
        self, mail: Mail, assignment: Assignment, tell: Callable[[Progress], None]
    ) -> None:
        self.assignment = assignment
        self._mail = mail
        self._tell = tell
        self._news = Event()
        self._stop = Event()
        self._interrupted = False
        self._started_at_ns = now_ns()
        self._window_start_ns = 0
        self._window_end_ns = 0
        self._outcome: Outcome | None = None
        self._publisher_fault = ""
        self._nobody: bool | None = None  # no client was let in; unknown without a publisher
        self._faults: list[str] = []
        self._members = {name: Member(name, at) for at, name in enumerate(mail.ready, start=1)}
        offsets_ns = load_schedule(assignment).offsets_ns
        window_ns = int(assignment.point.warmup_s * 1e9)
        self._timetable = Timetable.create(assignment.timetable, offsets_ns, window_ns)
        mail.deliver, mail.report = self._hear, self._on_report
        self._divide()

    def expect(self, clients: int) -> None:
        """Each worker waits for its own clients; the master for the workers."""

    def cut(self, *, interrupted: bool) -> None:
        """End the window now, everywhere at the same event; what there is gets added up."""
        if self._stop.is_set():
            return
        self._interrupted = interrupted
        if self._window_end_ns:
            self._window_end_ns = min(self._window_end_ns, now_ns())
        self._stop.set()
        for member in self._members.values():
            self._say(member, Cut(self._window_end_ns + member.offset.offset_ns))
        self._news.set()

    def run(self) -> RepeatResult:
        """Conduct the repeat to its end."""
        publishing = Publishing(self.assignment)
        try:
            if self._await_publisher(publishing):
                self._nobody = not self._await_members()
            if self._nobody is False:
                self._play(publishing)
                self._outcome = publishing.finish(now=self._stop.is_set())
                if self._stop.is_set() and self._window_end_ns:
                    self._window_end_ns = self._timetable.cut_short(self._window_end_ns)
        finally:
            publishing.end()
        before = {member.number: member.offset for member in self._members.values()}
        if self._window_end_ns:
            self._compare_clocks()
        fate = messages.deflated(self._timetable.fate)
        for member in self._members.values():
            self._say(member, Finished(self._outcome, fate))
        self._wait(lambda: all(one.result or one.failed for one in self._members.values()))
        return self._result(before)

    def _hear(self, client_id: str, said: msgspec.Struct) -> None:
        """Take what a worker says."""
        returned_ns = now_ns()
        member = self._members.get(client_id)
        if member is None:
            return
        if isinstance(said, Settled):
            member.settled = said
        elif isinstance(said, Failed):
            member.failed = said
        elif isinstance(said, Answer) and said.asked_ns == member.asked_ns:
            probe = Probe(said.asked_ns, said.heard_ns, said.answered_ns, returned_ns)
            member.answer.set(probe)
        self._news.set()

    def _on_report(self, client_id: str, data: dict[str, Any]) -> None:
        """Take what a worker adds to its reports to Locust's master."""
        member = self._members.get(client_id)
        if member is None:
            return
        if "wsproof_progress" in data:
            member.progress = msgspec.json.decode(data["wsproof_progress"], type=Progress)
        if "wsproof_result" in data:
            result = msgspec.json.decode(data["wsproof_result"], type=RepeatResult)
            # A report may come late, from the repeat before.
            if result.repeat == self.assignment.repeat:
                member.result = result
                self._news.set()

    def _divide(self) -> None:
        """Give each worker clients, and so source addresses, that nobody else has."""
        assignment = self.assignment
        each = -(-assignment.point.clients // max(1, len(self._members)))
        profile = Path(assignment.profile).read_text(encoding="utf-8")
        trace = Path(assignment.trace).read_text(encoding="utf-8")
        for member in self._members.values():
            mine = msgspec.structs.replace(
                assignment,
                first_client=(member.number - 1) * each,
                publish_token=None,
                clients=0,
                folder="",
            )
            share = messages.Share(
                assignment=mine,
                number=member.number,
                profile=profile,
                trace=trace,
                clock=clock_of_this_process(),
                timetable=str(assignment.timetable),
            )
            self._say(member, share)

    def _say(self, member: Member, said: msgspec.Struct) -> None:
        self._mail.say(member.client_id, said)

    def _await_publisher(self, publishing: Publishing) -> bool:
        ready = publishing.ready()
        if ready is not None and not ready.ready:
            self._publisher_fault = f"the publisher was refused: {ready.answer}"
            self._outcome = Outcome(0, 0, 0, 0.0, self._publisher_fault)
        return ready is not None and ready.ready

    def _await_members(self) -> bool:
        """Wait until every worker's clients are ready or refused, as long as there is news."""
        while not self._stop.is_set() and not self._all_decided():
            self._tell_phase("connecting", 0.0)
            self._news.clear()
            if not self._news.wait(2 * self.assignment.connect_s):
                break
        return any(one.settled for one in self._members.values()) and not self._stop.is_set()

    def _all_decided(self) -> bool:
        return all(member.decided for member in self._members.values())

    def _play(self, publishing: Publishing) -> None:
        self._compare_clocks()
        start_ns = now_ns() + _LEAD_NS
        self._timetable.start(start_ns)
        point = self.assignment.point
        self._window_start_ns = start_ns + int(point.warmup_s * 1e9)
        self._window_end_ns = self._window_start_ns + int(point.window_s * 1e9)
        for member in self._members.values():
            self._say(member, Begin(start_ns + member.offset.offset_ns))
        publishing.go()
        while (left_ns := self._window_end_ns - now_ns()) > 0:
            if self._stop.wait(min(_TICK_S, left_ns / 1e9)):
                return
            self._tick()

    def _compare_clocks(self) -> None:
        """Find how far each worker's clock is from ours, if it reads another."""
        for member in self._members.values():
            if member.settled is None:
                continue
            member.same_clock = member.settled.clock == clock_of_this_process()
            if not member.same_clock:
                member.offset = estimate(list(self._probe(member)))

    def _probe(self, member: Member) -> list[Probe]:
        found: list[Probe] = []
        for _ in range(PROBES):
            member.answer = AsyncResult()
            member.asked_ns = now_ns()
            self._say(member, Question(member.asked_ns))
            member.answer.wait(_ANSWER_S)
            if member.answer.value is not None:
                found.append(member.answer.value)
        return found

    def _tick(self) -> None:
        now = now_ns()
        known = [one.progress for one in self._members.values() if one.progress is not None]
        p99s = [one.p99_us for one in known if one.p99_us is not None]
        medians = [one.p50_us for one in known if one.p50_us is not None]
        total = self._window_end_ns - self._started_at_ns
        self._tell(
            Progress(
                phase="warming up" if now < self._window_start_ns else "measuring",
                done=min(1.0, (now - self._started_at_ns) / total),
                clients=sum(one.clients for one in known),
                events_per_s=min((one.events_per_s for one in known), default=0.0),
                p99_us=max(p99s, default=None),
                p50_us=max(medians, default=None),
                lost=sum(one.lost for one in known),
            )
        )

    def _tell_phase(self, phase: str, done: float) -> None:
        ready = sum(one.settled.ready for one in self._members.values() if one.settled)
        self._tell(Progress(phase, done, ready, 0.0, None, 0))

    def _wait(self, over: Callable[[], bool]) -> None:
        """Wait for something the workers will say, at most as long as their drain can take."""
        self._tell_phase("draining", 1.0)
        deadline = time.monotonic() + self.assignment.drain_s + _REPORT_S
        while not over() and (left_s := deadline - time.monotonic()) > 0:
            self._news.wait(left_s)
            self._news.clear()

    def _result(self, before: dict[int, Offset]) -> RepeatResult:
        assignment, timetable, outcome = self.assignment, self._timetable, self._outcome
        parts: list[Part] = []
        clocks: list[str] = []
        bound_ns = 0
        for member in self._members.values():
            if member.result is None:
                why = member.failed.reason if member.failed else "it left no result"
                self._faults.append(f"worker {member.number}: {why}")
                continue
            part = member.result.part
            self._faults += [f"worker {member.number}: {one}" for one in member.result.faults]
            if not member.same_clock:
                offset = over_time(before[member.number], member.offset)
                part = without_service(on_our_clock(part, offset.offset_ns))
                bound_ns = max(bound_ns, offset.bound_ns)
                clocks.append(
                    f"worker {member.number}: {offset.offset_ns / 1e9:+.6f} s"
                    f" ± {offset.bound_ns / 1000:,.0f} µs"
                )
            parts.append(part)
        for line in clocks:
            sys.stderr.write(f"clock of {line}\n")
        unbegun = self._stop.is_set() and not self._window_start_ns
        if unbegun and not self._interrupted:
            self._faults.append(UNBEGUN)
        end = timetable.due_before(self._window_end_ns) if self._window_end_ns else 0
        window_s = max(0.0, (self._window_end_ns - self._window_start_ns) / 1e9)
        played_s = max(1e-9, window_s + assignment.point.warmup_s)
        return RepeatResult(
            repeat=assignment.repeat,
            started_at_ns=self._started_at_ns,
            window_start_ns=self._window_start_ns,
            window_s=window_s,
            interrupted=self._interrupted,
            part=merge(parts or [nothing()]),
            passage=passage.review(
                timetable, self._window_start_ns, end, int(assignment.late_us * 1000)
            ),
            publisher_died=(
                outcome is None and not self._nobody and not self._interrupted and not unbegun
            ),
            publisher_fault=outcome.fault if outcome else self._publisher_fault,
            first_refusal=outcome.first_refusal if outcome else "",
            publisher_cpu_percent=100 * outcome.cpu_s / played_s if outcome else 0.0,
            faults=tuple(self._faults),
            point=assignment.point.label,
            counted=assignment.point.counted,
            workers=len(self._members),
            clocks=tuple(clocks),
            clock_bound_us=bound_ns / 1000,
        )
