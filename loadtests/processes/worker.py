"""A worker's side of a repeat on several processes: its clients, begun and ended by the master.

The conductor is the one of a single process. What it takes for its publisher is `Following`,
which passes on what the master says.
"""

import shutil
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import gevent
import msgspec
from gevent import Greenlet
from gevent.event import AsyncResult, Event

from loadtests.assignment import Assignment
from loadtests.conductor import Conductor
from loadtests.plan import peer_of
from loadtests.processes import messages
from loadtests.processes.clocks import clock_of_this_process
from loadtests.processes.messages import (
    Answer,
    Begin,
    Cut,
    Failed,
    Finished,
    Question,
    Settled,
    Share,
)
from loadtests.publishing.player import Outcome
from loadtests.publishing.publisher import Ready
from loadtests.results import Progress, RepeatResult
from loadtests.schedule.timetable import Timetable, now_ns
from loadtests.tally import Tally
from loadtests.users import WebSocketUser
from monitor.contract.verdicts import ExitCode, WsproofError

#: How long the master may take, beyond the drain, to say that its publisher has finished.
_GRACE_S = 15.0


class Following:
    """The master's publisher, as a worker's conductor sees it."""

    def __init__(self, runner: Any, share: Share) -> None:
        self._runner = runner
        self._share = share
        self._same_clock = share.clock == clock_of_this_process()
        self._timetable: Timetable | None = None
        self.ready_clients = 0
        #: The instant to begin at, None if it never comes to that.
        self.begin: AsyncResult[int | None] = AsyncResult()
        self.finished: AsyncResult[Finished | None] = AsyncResult()

    def ready(self) -> Ready:
        """The publisher is the master's affair."""
        return Ready(True, "")

    def appoint(self, timetable: Timetable, ready: int) -> int | None:
        """Say that all clients are settled, and wait for the word to begin."""
        settled = Settled(ready, clock_of_this_process())
        self._runner.send_message(messages.kind(Settled), messages.pack(settled))
        start_ns = self.begin.get()
        if start_ns is None:
            return None
        timetable.start(start_ns)
        self._timetable = timetable
        if self._same_clock:
            timetable.follow(Timetable(Path(self._share.timetable)))
        return start_ns

    def go(self) -> None:
        """The master's publisher has been told already."""

    def finish(self, *, now: bool) -> Outcome | None:  # noqa: ARG002 - the master knows itself
        """Wait until the publisher has finished; take the fate of every event."""
        self.finished.wait(self._share.assignment.drain_s + _GRACE_S)
        finished = self.finished.value
        if finished is None:
            return None
        if self._timetable is not None and not self._same_clock:
            self._timetable.fate[:] = messages.inflated(finished.fate)
        return finished.outcome

    def end(self) -> None:
        """Nothing of ours runs."""

    def abandon(self, *, only_begin: bool = False) -> None:
        """Wait no longer for what the master has not said by now."""
        for awaited in (self.begin,) if only_begin else (self.begin, self.finished):
            if not awaited.ready():
                awaited.set(None)


class Worker:
    """One Locust worker and what is conducted in it."""

    def __init__(self, environment: Any, user: type[WebSocketUser]) -> None:
        self._environment = environment
        self._user = user
        # The master's options replace ours; whom we may test is for this host's user to say.
        self._hosts = tuple(environment.parsed_options.i_am_allowed_to_test)
        self._share: Share | None = None
        self._following: Following | None = None
        self._conductor: Conductor | None = None
        self._greenlet: Greenlet[[Conductor, Path], None] | None = None
        self._progress: Progress | None = None
        self._result: RepeatResult | None = None
        self._over = Event()

    def attach(self) -> None:
        """Listen to Locust's events, and to our master."""
        if self._environment.parsed_options.processes:
            # Ctrl-C reaches the whole group; the master sees to it that we end in order.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        events, runner = self._environment.events, self._environment.runner
        events.test_start.add_listener(self._on_start)
        events.spawning_complete.add_listener(self._on_spawned)
        events.test_stopping.add_listener(self._on_stopping)
        events.report_to_master.add_listener(self._on_report)
        listeners: dict[type[Any], Any] = {
            Share: self._take_share,
            Question: self._answer,
            Begin: self._begin,
            Cut: self._cut,
            Finished: self._finish,
        }
        for said, take in listeners.items():

            def hear(msg: Any, said: type[Any] = said, take: Any = take, **_: Any) -> None:
                take(messages.unpack(msg.data, said))

            runner.register_message(messages.kind(said), hear)

    def _take_share(self, share: Share) -> None:
        self._share = share

    def _on_start(self, **_: Any) -> None:
        share = self._share
        if share is None:
            self._fail("the master sent no share: start it with the same locustfile")
            return
        folder = Path(tempfile.mkdtemp(prefix="wsproof-worker-"))
        try:
            assignment = _unfold(share, folder)
            peer_of(assignment.target, self._hosts)
        except WsproofError as error:
            shutil.rmtree(folder)
            self._fail(str(error), error.exit_code)
            return
        self._following = following = Following(self._environment.runner, share)
        tally = Tally(self._environment.stats)
        self._conductor = Conductor(
            assignment, self._tell, tally.update, publish=lambda _: following
        )
        self._user.conductor = self._conductor
        self._greenlet = gevent.spawn(self._conduct, self._conductor, folder)

    def _fail(self, reason: str, exit_code: int = ExitCode.NO_VERDICT) -> None:
        self._user.conductor = None
        sys.stderr.write(f"wsproof: worker: {reason}\n")
        failed = Failed(reason, int(exit_code))
        self._environment.runner.send_message(messages.kind(Failed), messages.pack(failed))

    def _on_spawned(self, **_: Any) -> None:
        if self._conductor is not None:
            # The event's own count is that of all workers.
            self._conductor.expect(sum(self._environment.runner.target_user_classes_count.values()))

    def _on_stopping(self, **_: Any) -> None:
        if self._conductor is None or self._greenlet is None or self._following is None:
            return
        self._conductor.cut(interrupted=False)
        self._following.abandon()
        self._greenlet.join(self._conductor.assignment.drain_s + _GRACE_S)

    def _on_report(self, data: dict[str, Any], **_: Any) -> None:
        """Add to the report to Locust's master what its own statistics have no place for."""
        if self._progress is not None:
            data["wsproof_progress"] = msgspec.json.encode(self._progress)
        if self._result is not None:
            data["wsproof_result"] = msgspec.json.encode(self._result)
            self._result = None

    def _conduct(self, conductor: Conductor, folder: Path) -> None:
        try:
            self._result = conductor.run()
        except Exception:  # noqa: BLE001 - a defect of ours: shown whole, and told to the master
            traceback.print_exc()
            self._fail("a defect of wsproof; its log shows it", ExitCode.INTERNAL)
        else:
            part = self._result.part
            sys.stderr.write(
                f"worker {self._share.number if self._share else 0}: {part.admitted} clients,"
                f" {part.expected} deliveries expected, {part.received} received,"
                f" {part.lost} lost\n"
            )
        finally:
            shutil.rmtree(folder)

    def _tell(self, progress: Any) -> None:
        if isinstance(progress, Progress):
            self._progress = progress

    def _answer(self, question: Question) -> None:
        heard_ns = now_ns()
        runner = self._environment.runner
        answer = Answer(question.asked_ns, heard_ns, now_ns())
        runner.send_message(messages.kind(Answer), messages.pack(answer))

    def _begin(self, begin: Begin) -> None:
        if self._following is not None:
            self._following.begin.set(begin.start_ns)

    def _cut(self, cut: Cut) -> None:
        if self._conductor is not None and self._following is not None:
            self._conductor.cut(interrupted=False, end_ns=cut.end_ns)
            self._following.abandon(only_begin=True)

    def _finish(self, finished: Finished) -> None:
        if self._following is not None:
            self._following.abandon(only_begin=True)
            self._following.finished.set(finished)


def _unfold(share: Share, folder: Path) -> Assignment:
    """Write the files of a share into a folder of ours; return the assignment that names them."""
    profile, trace = folder / "target.toml", folder / "trace.jsonl"
    profile.write_text(share.profile, encoding="utf-8")
    trace.write_text(share.trace, encoding="utf-8")
    return msgspec.structs.replace(
        share.assignment, profile=str(profile), trace=str(trace), folder=str(folder)
    )
