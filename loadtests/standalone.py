"""Locust by itself: launches the target, and writes a run folder when Locust quits.

For `locust -f loadtests/locustfile.py`, headless or with its web page. Each start is one repeat.
There is no calibration, so such a run is SUSPECT at best; `wsproof load` calibrates.
"""

import secrets
import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec

from loadtests.assignment import Assignment
from loadtests.bench import Sampling
from loadtests.measure import Evidence, alive, knock
from loadtests.plan import Plan, make_plan, peer_of
from loadtests.results import RepeatResult
from loadtests.sampler import Watch
from loadtests.scenarios import find
from monitor.contract import verdicts
from monitor.contract.claims import Claim, conclusion, judge, load_claims
from monitor.contract.evidence import load_run
from monitor.contract.launch import Launch
from monitor.contract.target import load_target
from monitor.contract.verdicts import ExitCode, UsageError, WsproofError

_REFERENCE = Path(verdicts.__file__).parents[1] / "target.toml"

#: Without --run-time the schedule is prepared this far.
_LONGEST_S = 3600.0


class Standalone:
    """Everything around the conductor that `wsproof load` does otherwise."""

    def __init__(self, options: Any) -> None:
        self._options = options
        self._stack = ExitStack()
        self._launch: Launch | None = None
        self._plan: Plan | None = None
        self.results: list[RepeatResult] = []

    def assign(self, workers: int = 1) -> Assignment:
        """Launch the target on first use and write the next repeat's assignment.

        Its clients are divided among so many Locust processes.
        """
        if self._launch is None:
            self._open()
        assert self._launch is not None  # noqa: S101 - `_open` has set them
        assert self._plan is not None  # noqa: S101
        number = len(self.results) + 1
        folder = self._folder / f"repeat-{number}"
        folder.mkdir(mode=0o700)
        allotter = self._plan.allotter(peer_of(self._launch.target, self._hosts)[0])
        point = next(self._plan.scenario.steps(self._plan.asked))
        if point.restarts:
            raise UsageError(
                f"scenario {self._plan.scenario.name()}: restarts its target, which Locust by"
                f" itself cannot; use `wsproof load {self._plan.scenario.name()}`"
            )
        plan = self._plan = msgspec.structs.replace(self._plan, workers=workers)
        allotment = plan.allotment(allotter, point)
        tokens = (self._launch.token("subscribe"), self._launch.token("publish"))
        self._sampling.watch(Watch(number, self._launch.pid, None))
        assignment = self._plan.assignment(number, folder, self._launch.target, allotment, tokens)
        # How many users there will be, Locust says once they are spawned.
        return msgspec.structs.replace(assignment, clients=0)

    def conclude(self) -> int:
        """Write the run folder, say where, end everything; return Locust's exit code."""
        if self._launch is None:
            return int(ExitCode.NO_VERDICT)
        try:
            target = self._launch.target
            url = target.url
            deaths = 0 if alive(self._launch, peer_of(target, self._hosts)) else 1
            self._launch.stop()
            assert self._plan is not None  # noqa: S101 - `_open` has set it
            run = self._evidence.conclude(
                self._plan,
                url,
                self.results,
                self._sampling,
                calibration=None,
                deaths=deaths,
                interrupted=False,
            )
        except WsproofError as error:
            sys.stderr.write(f"wsproof: {error}\n")
            return int(error.exit_code)
        finally:
            self.close()
        return _report(run, self._judged)

    @property
    def _judged(self) -> tuple[Claim, ...]:
        """The claims on the scenario, and the objectives."""
        assert self._plan is not None  # noqa: S101 - `_open` has set it
        path = self._plan.target.claims_path
        name = self._plan.scenario.name()
        claims = (one for one in (load_claims(path) if path else ()) if one.scenario == name)
        return (*claims, *self._plan.objectives)

    def close(self) -> None:
        """End everything that was started."""
        self._stack.close()

    def _open(self) -> None:
        options = self._options
        self._hosts = tuple(options.i_am_allowed_to_test)
        run_time = float(options.run_time or _LONGEST_S)
        scenario = find(options.scenario)
        warmup_s = scenario.warmup_s if options.warmup is None else options.warmup
        self._plan = make_plan(
            scenario,
            load_target(Path(options.target) if options.target else _REFERENCE),
            clients=1 if options.num_users is None else options.num_users,
            rate=options.rate,
            warmup_s=warmup_s,
            window_s=max(1.0, run_time - warmup_s),
            repeats=1,
            trace=Path(options.trace) if options.trace else None,
            allowed_hosts=self._hosts,
        )
        self._folder = Path(tempfile.mkdtemp(prefix="wsproof-load-"))
        self._stack.callback(shutil.rmtree, self._folder)
        command = shlex.join(["locust", *sys.argv[1:]])
        runs = Path(options.runs)
        self._evidence = self._stack.enter_context(
            Evidence(self._plan, runs, command, secrets.randbelow(1 << 31))
        )
        self._sampling = self._stack.enter_context(Sampling(self._folder))
        self._launch = self._stack.enter_context(Launch(self._plan.target, self._hosts))
        target = self._launch.target
        if target.start is None:
            knock(target.url, peer_of(target, self._hosts))


def _report(run: Path, claims: Sequence[Claim]) -> int:
    """Say in a few words what the run came to; return the exit code that follows from it."""
    found = load_run(run).record
    lines = [f"run {found.id}: {found.verdict}", *(f"  {reason}" for reason in found.reasons)]
    for name in ("clients_held", "events_per_s", "response_mean_us", "deliveries_lost"):
        if name in found.metrics:
            metric = found.metrics[name]
            lines.append(f"  {name} = {metric.value:,.1f} {metric.unit}")
    judgements = [judge(claim, found.metrics, found.verdict) for claim in claims]
    lines += [f"  {one.verdict}: {one.claim.id}: {one.reason}" for one in judgements]
    lines.append(f"evidence: {run}; `wsproof report build {run}` makes its report")
    sys.stderr.write("\n".join(lines) + "\n")
    return int(conclusion(judgements))
