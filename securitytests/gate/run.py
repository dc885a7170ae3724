"""Runs the checks of a plan: side by side where they may, by themselves where they must.

Checks that share a server come from different addresses and mostly wait, so their waits overlap.
Checks with a server of their own run beside them; those that measure run alone, at the end.
"""

import asyncio
import contextlib
import shlex
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec

from monitor.contract.findings import Finding, TranscriptLine
from monitor.contract.tables import Scalar
from monitor.contract.target import Target
from monitor.contract.verdicts import NoVerdictError, Verdict, WsproofError
from securitytests.certificates import asks_for_certificate, with_certificate
from securitytests.check import Check
from securitytests.gate.blame import Tried, all_of_them, ended_it, those_that_did
from securitytests.gate.conclude import Conclusion, Course, conclude
from securitytests.gate.conduct import Conducted, conduct
from securitytests.gate.plan import Plan, Tell
from securitytests.gate.resources import Resources
from securitytests.judging import CannotTellError
from securitytests.server import Budget, Server

#: Checks that share a server, at a time: they mostly wait, but two cores are soon busy.
SIDE_BY_SIDE = 12

#: Servers of their own that run at a time, beside the shared one.
OWN_SERVERS = 2


class Outcome(msgspec.Struct, frozen=True):
    """What an audit found: one finding a check, in order of their ids, and the conversations.

    `resources` are rows of `resources.csv`; `stalled_s` is how long the audit itself stood still;
    one that was `interrupted` has NOT_RUN for whatever was not concluded.
    """

    findings: tuple[Finding, ...]
    transcripts: tuple[TranscriptLine, ...]
    seconds: float
    target_url: str
    rss_peak_bytes: int | None = None
    resources: tuple[tuple[Scalar, ...], ...] = ()
    stalled_s: float = 0.0
    interrupted: bool = False


class Gate:
    """One audit under way.

    Args:
        plan: what to do.
        tell: called after each check.
        repeat: how the command line repeats a check; `{id}` is filled in.
    """

    def __init__(self, plan: Plan, tell: Tell, repeat: str = "wsproof audit --only {id}") -> None:
        self._plan = plan
        self._tell = tell
        self._repeat = repeat
        self._findings: dict[str, Finding] = {}
        self._transcripts: dict[str, tuple[TranscriptLine, ...]] = {}
        permitted = plan.permissions
        self._budget = Budget(permitted.budget_connections)
        self._budget_s = permitted.budget_s
        self._url = plan.target.url
        self._rss_peak_bytes: int | None = None
        self._resources = Resources()
        self._started = time.monotonic()
        self._place = _place(plan.target)

    async def run(self) -> Outcome:
        """Conduct every check and conclude; what is not done within the budget is INCONCLUSIVE.

        Raises:
            NoVerdictError: the target did not become ready, or did not stay until the first check.
            RefusedError: the guard refused.
        """
        async with self._resources.of_the_audit():
            budget = asyncio.timeout(self._budget_s)
            try:
                async with budget:
                    await self._conduct_all()
            except TimeoutError:
                if not budget.expired():
                    raise
                used_up = "the budget of seconds is used up; raise --budget-seconds"
                self._leave_undone(Verdict.INCONCLUSIVE, used_up)
        return self._outcome()

    def interrupted(self) -> Outcome:
        """Return what was found so far, for when `run` was cancelled; the rest is NOT_RUN."""
        self._leave_undone(Verdict.NOT_RUN, "the audit was interrupted before it was done")
        return msgspec.structs.replace(self._outcome(), interrupted=True)

    def _outcome(self) -> Outcome:
        ordered = sorted(self._findings)
        order = {check.id: check.order for check, _ in self._plan.left_out}
        order |= {check.id: check.order for check in self._plan.checks}
        ordered.sort(key=order.__getitem__)
        return Outcome(
            findings=tuple(self._findings[name] for name in ordered),
            transcripts=tuple(line for name in ordered for line in self._transcripts[name]),
            seconds=time.monotonic() - self._started,
            target_url=self._url,
            rss_peak_bytes=self._rss_peak_bytes,
            resources=tuple(self._resources.rows),
            stalled_s=self._resources.stalled_s,
        )

    async def _conduct_all(self) -> None:
        for check, conclusion in self._plan.left_out:
            self._conclude(check, conclusion, None)
        alone = [check for check in self._plan.checks if check.alone]
        beside = [check for check in self._plan.checks if not check.alone]
        own = [check for check in beside if check.server == "own"]
        shared = [check for check in beside if check.server == "shared"]
        async with _all_or_none() as group:
            group.create_task(self._share(shared, SIDE_BY_SIDE))
            places = asyncio.Semaphore(OWN_SERVERS)
            for check in self._plan.in_order(own):
                group.create_task(self._by_itself(check, places))
        await self._alone(self._plan.in_order(alone))

    # On one server

    async def _share(self, checks: Iterable[Check], at_a_time: int) -> None:
        """Conduct checks on one server; on another one from where the first has ended."""
        waiting = self._plan.in_order(checks)
        while waiting:
            async with self._server(self._plan.target) as server:
                suspects = await self._until_it_ends(waiting, server, at_a_time)
            for check, conducted in await self._blamed(suspects):
                self._conducted(check, conducted)

    async def _until_it_ends(
        self, waiting: list[Check], server: Server, at_a_time: int
    ) -> list[Tried]:
        """Take checks off `waiting` until none is left or the server has ended.

        Returns the checks that were at it when it ended; where there were none, the one before. A
        check that came too late to be served waits for the next server, unless none ever was.

        Raises:
            NoVerdictError: it had ended before a check was begun.
        """
        if not server.alive:
            raise NoVerdictError(
                f"target {self._plan.target.name}: ended before a check was begun; start it by hand"
                " with `start.command` of its profile to see why"
            )
        suspects: list[Tried] = []
        unserved: list[Tried] = []
        latest: list[Tried] = []

        async def work() -> None:
            while waiting and server.alive:
                check = waiting.pop(0)
                conducted = await conduct(check, server)
                course = conducted.course
                if not course.died:
                    self._conducted(check, conducted)
                    latest[:] = latest if course.before else [(check, conducted)]
                elif course.before:
                    unserved.append((check, conducted))
                else:
                    suspects.append((check, conducted))

        async with _all_or_none() as group:
            for _ in range(at_a_time):
                group.create_task(work())
        self._note_memory(server)
        if server.alive:
            return []
        blamed = suspects or latest
        if blamed:
            waiting += [check for check, _ in unserved]
        else:
            for check, conducted in unserved:
                self._conducted(check, conducted)
        return blamed

    async def _blamed(self, suspects: list[Tried]) -> list[Tried]:
        """Return the checks that were at a server when it ended, each with how it then went."""
        if len(suspects) < 2:
            return all_of_them(suspects)
        again = []
        for check, _ in suspects:
            async with self._server(self._plan.target) as server:
                again.append(await conduct(check, server))
        if any(map(ended_it, again)):
            return those_that_did(suspects, again)
        return all_of_them(suspects)

    # One at a time

    async def _by_itself(self, check: Check, places: asyncio.Semaphore) -> None:
        """Conduct a check on a server nobody else speaks with."""
        async with places:
            course = self._without_server(check)
            if course is not None:
                self._conducted(check, _not_conducted(course))
                return
            with tempfile.TemporaryDirectory(prefix="wsproof-certificate-") as folder:
                await self._on_its_own(check, Path(folder))

    async def _on_its_own(self, check: Check, folder: Path) -> None:
        target = self._target_of(check)
        if asks_for_certificate(target):
            try:
                target = await asyncio.to_thread(with_certificate, target, folder)
            except CannotTellError as error:
                self._conducted(check, _not_conducted(Course(problem=str(error))))
                return
        async with self._server(target) as server:
            self._conducted(check, await conduct(check, server))
            self._note_memory(server)

    async def _alone(self, checks: list[Check]) -> None:
        """Conduct checks that measure, one after the other, while nothing else runs."""
        one = asyncio.Semaphore(1)
        for check in checks:
            if check.server == "own":
                await self._by_itself(check, one)
        await self._share([check for check in checks if check.server == "shared"], 1)

    def _without_server(self, check: Check) -> Course | None:
        """Return how a check ends for which there is no server; None if there is one."""
        if check.variant is None:
            return None
        variant = self._plan.target.variants.get(check.variant)
        if variant is None:
            if check.or_as_it_is:
                return None
            return Course(inapplicable=f"the profile has no `variants.{check.variant}`")
        if variant.starts:
            return None
        return Course(problem=f"`variants.{check.variant}` must not start; nothing runs on it")

    def _target_of(self, check: Check) -> Target:
        """Return the target a check with its own server runs on."""
        target = self._plan.target
        return target if check.variant is None else target.variant(check.variant) or target

    @contextlib.asynccontextmanager
    async def _server(self, target: Target) -> AsyncIterator[Server]:
        allowed = self._plan.permissions.allowed_hosts
        async with self._place, Server(target, allowed, budget=self._budget) as server:
            self._url = server.target.url
            async with self._resources.of_a_server(server.processes):
                yield server

    def _note_memory(self, server: Server) -> None:
        peak = server.rss_peak_bytes()
        if peak is not None:
            self._rss_peak_bytes = max(peak, self._rss_peak_bytes or 0)

    # Conclusions

    def _conducted(self, check: Check, conducted: Conducted) -> None:
        conclusion = conclude(check, conducted.course, self._plan.target.waivers)
        self._conclude(check, conclusion, conducted)

    def _leave_undone(self, verdict: Verdict, reason: str) -> None:
        for check in self._plan.checks:
            if check.id not in self._findings:
                self._conclude(check, Conclusion(verdict, reason), None)

    def _conclude(self, check: Check, conclusion: Conclusion, conducted: Conducted | None) -> None:
        deciding = conclusion.deciding
        # Whatever a check is after: that a service did not survive it fails the audit.
        harmed = conclusion.verdict is Verdict.FAIL and deciding is None
        finding = Finding(
            id=check.id,
            title=check.title,
            verdict=conclusion.verdict,
            severity=check.severity,
            claim=None if check.claim is None else check.claim.value,
            references=check.references,
            remediation=check.remediation,
            reason=conclusion.reason,
            expected="" if deciding is None else deciding.expected,
            actual="" if deciding is None else deciding.actual,
            observations=() if conducted is None else conducted.course.observations,
            repeat=self._repeat.replace("{id}", shlex.quote(check.id)),
            seconds=0.0 if conducted is None else round(conducted.seconds, 3),
            variant=check.variant or "",
            figures={} if conducted is None else conducted.figures,
            waiver=conclusion.waiver,
            gating=check.gating or harmed,
        )
        self._findings[check.id] = finding
        self._transcripts[check.id] = () if conducted is None else conducted.transcript
        if finding.verdict is not Verdict.NOT_RUN:
            total = len(self._plan.checks) + len(self._plan.left_out)
            self._tell(finding, len(self._findings), total)


def _place(target: Target) -> AbstractAsyncContextManager[None]:
    """Return what a server holds while it runs: at a fixed address there is room for one."""
    fixed = target.start is not None and target.start.ready == "connect"
    return asyncio.Semaphore(1) if fixed else contextlib.nullcontext()


def _not_conducted(course: Course) -> Conducted:
    return Conducted(course, (), {}, 0.0)


@contextlib.asynccontextmanager
async def _all_or_none() -> AsyncIterator[asyncio.TaskGroup]:
    """Run tasks together; an expected failure of one is raised by itself, not in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        for failure in failures.exceptions:
            if isinstance(failure, WsproofError):
                raise failure from None
        raise
