"""Runs the gate against correct services: a finding there is a false alarm.

Services that differ from the monitor in every legal way show whether a check judges what was
promised or merely what the monitor happens to do. Each run shuffles the order of the checks.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from monitor.contract.target import Target, load_target
from monitor.contract.verdicts import ExitCode, NoVerdictError, UsageError, Verdict
from securitytests.gate.plan import make_plan
from securitytests.gate.run import Gate, Outcome

#: A service on which fewer applicable checks come to a verdict says little about them.
LEAST_APPLICABLE = 40

_UNDECIDED = frozenset({Verdict.INCONCLUSIVE, Verdict.NOT_RUN})

#: Verdicts a check comes to where it is applicable.
_DECIDED = frozenset({Verdict.PASS, Verdict.FAIL, Verdict.WAIVED})

TellTwin = Callable[["TwinRun", int, int], None]


class TwinRun(msgspec.Struct, frozen=True):
    """One run of the gate against a correct service.

    `verdicts` by check; `alarms` are the checks that failed, gating or not, and `undecided` the
    gating ones that came to no verdict, with the reasons; `applicable` counts the applicable ones
    that did; `defect` says why the service could not be tried at all; `stalled_s` how long the
    audit itself stood still at most.
    """

    service: str
    seed: int
    verdicts: dict[str, Verdict]
    alarms: dict[str, str]
    undecided: dict[str, str]
    applicable: int
    total: int
    defect: str
    seconds: float
    stalled_s: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether every applicable check passed or was waived; reported ones may be undecided."""
        return not (self.alarms or self.undecided or self.defect) and self.applicable > 0


def services(folder: Path) -> tuple[Target, ...]:
    """Load every profile of a folder, in order of their names.

    Raises:
        UsageError: there is none, or one of them is wrong.
    """
    profiles = sorted(folder.glob("*.toml")) if folder.is_dir() else []
    if not profiles:
        raise UsageError(
            f"audit --twins {folder}: expected a folder with target profiles (*.toml) of correct"
            " services; a checkout has tests/services"
        )
    return tuple(map(load_target, profiles))


def schedule(count: int, repeats: int, seed: int) -> tuple[tuple[int, int], ...]:
    """Return which service (0 up) is run when, and with which seed: each equally often, shuffled.

    Where `repeats` is no multiple of `count`, some have a turn more than others.
    """
    source = random.Random(seed)  # noqa: S311 - an order, no secret
    turns: list[int] = []
    while len(turns) < repeats:
        turns += source.sample(range(count), count)
    return tuple((turn, source.randrange(2**31)) for turn in turns[:repeats])


async def try_twins(
    targets: Sequence[Target],
    repeats: int,
    seed: int,
    tell: TellTwin,
    *,
    only: str | None = None,
    real_time: bool = False,
) -> tuple[TwinRun, ...]:
    """Run the gate `repeats` times, one after the other; return the runs in that order.

    `tell` has been told of every run that was done, if this is cancelled, too.

    Raises:
        UsageError: a profile declines or waives what does not exist.
        NoVerdictError: no check is selected.
    """
    plans = [make_plan(target, only=only, real_time=real_time) for target in targets]
    done: list[TwinRun] = []
    for turn, run_seed in schedule(len(plans), repeats, seed):
        plan = msgspec.structs.replace(plans[turn], seed=run_seed)
        name = plan.target.name
        try:
            outcome = await Gate(plan, lambda *_: None).run()
        except NoVerdictError as error:
            run = TwinRun(name, run_seed, {}, {}, {}, 0, 0, str(error), 0.0)
        else:
            run = judge_run(name, run_seed, outcome)
        done.append(run)
        tell(run, len(done), repeats)
    return tuple(done)


def judge_run(service: str, seed: int, outcome: Outcome) -> TwinRun:
    """Judge one run: a correct service leads to no failure and leaves nothing undecided."""
    found = outcome.findings
    return TwinRun(
        service=service,
        seed=seed,
        verdicts={one.id: one.verdict for one in found},
        alarms={one.id: one.reason for one in found if one.verdict is Verdict.FAIL},
        undecided={one.id: one.reason for one in found if one.verdict in _UNDECIDED and one.gating},
        applicable=sum(one.verdict in _DECIDED for one in found),
        total=len(found),
        defect="",
        seconds=round(outcome.seconds, 2),
        stalled_s=round(outcome.stalled_s, 3),
    )


def most_false_alarms(runs: Sequence[TwinRun]) -> float | None:
    """Return the share of runs with a false alarm that 95 % confidence leaves possible: 3/n.

    The rule of three holds where none was seen; None if one was, or nothing was run.
    """
    if not runs or not all(run.clean for run in runs):
        return None
    return min(1.0, 3 / len(runs))


def broad_services(runs: Sequence[TwinRun]) -> Mapping[str, int]:
    """Return the least number of applicable checks of each service that has enough of them."""
    return {name: count for name, count in _least(runs).items() if count >= LEAST_APPLICABLE}


def narrow_services(runs: Sequence[TwinRun]) -> Mapping[str, int]:
    """Return the least number of applicable checks of each service that has too few of them."""
    return {name: count for name, count in _least(runs).items() if count < LEAST_APPLICABLE}


def _least(runs: Sequence[TwinRun]) -> Mapping[str, int]:
    least: dict[str, int] = {}
    for run in runs:
        least[run.service] = min(run.applicable, least.get(run.service, run.applicable))
    return least


def twins_exit_code(runs: Sequence[TwinRun], *, whole: bool) -> ExitCode:
    """Return 0 if every run was clean, 1 after a false alarm, 3 if anything was undecided.

    Of `whole` runs, of every check and not of chosen ones, a service on which too few are
    applicable leaves it undecided as well.
    """
    if any(run.alarms for run in runs):
        return ExitCode.BROKEN
    if not runs or not all(run.clean for run in runs) or (whole and narrow_services(runs)):
        return ExitCode.NO_VERDICT
    return ExitCode.HOLDS
