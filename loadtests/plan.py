"""What is to be measured: a scenario's defaults, the command line's changes, and their limits."""

import math
import resource
import secrets
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from loadtests import objectives as parsing
from loadtests.accounting.histogram import PERCENTILES
from loadtests.addresses import Allotment, Allotter
from loadtests.assignment import Assignment
from loadtests.bounds import DEFAULT_BOUND_US, MAX_EVENTS, MAX_RATE, SPARE_DESCRIPTORS
from loadtests.connections.tls import tls_context
from loadtests.extent import Extent, extent
from loadtests.figures import events_needed
from loadtests.scenarios import Asked, Scenario
from loadtests.schedule.course import Point, steady
from loadtests.schedule.replay import Trace, load_trace
from monitor.contract.claims import Claim, load_claims
from monitor.contract.guard import permit
from monitor.contract.tables import Scalar
from monitor.contract.target import Target
from monitor.contract.verdicts import UsageError

#: How long one client may take to become ready, and deliveries may take after the window.
CONNECT_S = 10.0
DRAIN_S = 5.0


class Plan(msgspec.Struct, frozen=True):
    """One run of a scenario against a target, checked."""

    scenario: type[Scenario]
    target: Target
    clients: int
    rate: float
    pipelines: int
    warmup_s: float
    window_s: float
    repeats: int
    trace: Path
    allowed_hosts: tuple[str, ...]
    bounds_us: dict[str, float]
    objectives: tuple[Claim, ...] = ()
    drain_s: float = DRAIN_S
    #: Locust processes that share the clients.
    workers: int = 1

    @property
    def asked(self) -> Asked:
        """What the scenario goes by."""
        return Asked(
            target=self.target,
            clients=self.clients,
            rate=self.rate,
            warmup_s=self.warmup_s,
            window_s=self.window_s,
            repeats=self.repeats,
            objectives=self.objectives,
        )

    @property
    def sought(self) -> tuple[Claim, ...]:
        """What one repeat must keep: the objectives; in a search, no loss and what is claimed.

        What a search answers, and whether the target died, only the run as a whole can tell.
        """
        name, seeks = self.scenario.name(), self.scenario.seeks
        texts = (parsing.SURVIVAL["target_deaths"], *(self.scenario.proves if seeks else ()))
        of_the_whole = {parsing.parse(text, name).metric for text in texts}
        given = tuple(one for one in self.objectives if one.metric not in of_the_whole)
        if not seeks:
            return given
        wanted: list[str] = []
        if all(one.metric != "deliveries_lost" for one in given):
            # A pace at which some is lost is not kept.
            wanted.append(parsing.SURVIVAL["deliveries_lost"])
        if not given:
            wanted += ["thinned = 0", "refused = 0"]
            wanted += [f"{metric} < {bound:g}" for metric, bound in self.bounds_us.items()]
        return (*given, *(parsing.parse(text, name) for text in wanted))

    @property
    def extent(self) -> Extent:
        """How much it does, and about how long it takes."""
        return extent_of(self.scenario, self.asked)

    @property
    def late_us(self) -> float:
        """A send is late if it lags by more than a tenth of the tightest latency bound."""
        return min(self.bounds_us.values(), default=DEFAULT_BOUND_US) / 10

    def parameters(self) -> dict[str, Scalar]:
        """Return what was asked for, for the record."""
        return {
            "clients": self.clients,
            "rate_events_per_s": self.rate,
            "pipelines": self.pipelines,
            "warmup_s": self.warmup_s,
            "window_s": self.window_s,
            "repeats": self.repeats,
            "workers": self.workers,
            "median_receiver": "unknown with several workers" if self.workers > 1 else None,
            "trace": self.trace.name,
            "connect_deadline_s": CONNECT_S,
            "drain_deadline_s": self.drain_s,
            "late_after_us": self.late_us,
            "objectives": "; ".join(one.sentence for one in self.objectives) or None,
            "promised_requests_per_window": self.target.promises.requests_per_window,
            "promised_window_s": self.target.promises.window_s,
            "promised_connections_per_address": self.target.promises.connections_per_address,
        }

    def allotter(self, peer: str) -> Allotter:
        """Return what gives each repeat its source addresses, from a place of this run's own."""
        return Allotter(self.target, peer, secrets.randbelow(1 << 16))

    def allotment(self, allotter: Allotter, point: Point) -> Allotment:
        """Take source addresses for one repeat, for all processes that share its clients."""
        if self.workers > 1:
            _check_divisible(point)
            return allotter.shared(point.clients, self.workers)
        return allotter.take(point.connections, point.strangers)

    def assignment(
        self,
        repeat: int,
        folder: Path,
        target: Target,
        allotment: Allotment,
        tokens: tuple[str | None, str | None],
        point: Point | None = None,
    ) -> Assignment:
        """Write down one repeat for one Locust process; `tokens` to subscribe and to publish.

        Without `point` it is what the scenario offers in its first repeat.
        """
        point = point or next(self.scenario.steps(self.asked))
        return Assignment(
            run=secrets.token_hex(4),
            repeat=repeat,
            scenario=self.scenario.name(),
            profile=str(self.target.path),
            url=target.url,
            peer=peer_of(target, self.allowed_hosts),
            subscribe_token=tokens[0],
            publish_token=tokens[1],
            clients=point.clients,
            point=point,
            pipelines=self.pipelines,
            connect_s=CONNECT_S,
            drain_s=self.drain_s,
            late_us=self.late_us,
            trace=str(self.trace),
            first_address=allotment.first,
            clients_per_address=allotment.clients_per_address,
            connections=allotment.connections,
            folder=str(folder),
            workers=self.workers,
        )


def make_plan(
    scenario: type[Scenario],
    target: Target,
    *,
    clients: int | None = None,
    rate: float | None = None,
    warmup_s: float | None = None,
    window_s: float | None = None,
    repeats: int | None = None,
    trace: Path | None = None,
    allowed_hosts: tuple[str, ...] = (),
    objectives: Iterable[str] = (),
    workers: int = 1,
) -> Plan:
    """Return the scenario with what is given put in place of its defaults.

    Raises:
        NotApplicableError: the target does not promise what the scenario needs.
        UsageError: a number out of range, an unreadable trace or claims document, or a rate
            over the target's own publishing quota.
    """
    scenario.check(target)
    plan = Plan(
        scenario=scenario,
        target=target,
        clients=scenario.clients if clients is None else clients,
        rate=scenario.rate if rate is None else rate,
        pipelines=scenario.pipelines,
        warmup_s=scenario.warmup_s if warmup_s is None else warmup_s,
        window_s=scenario.window_s if window_s is None else window_s,
        repeats=scenario.repeats if repeats is None else repeats,
        trace=trace or scenario.trace,
        allowed_hosts=allowed_hosts,
        bounds_us=latency_bounds_us(target, scenario),
        workers=workers,
    )
    _check(plan)
    given = parsing.objectives_of(scenario, plan.asked, objectives)
    plan = msgspec.structs.replace(plan, objectives=given)
    plan = msgspec.structs.replace(plan, bounds_us=_tightened(plan))
    _check_bounds(plan)
    recorded = load_trace(plan.trace)
    if scenario.seeks:
        _check_events(plan, recorded)
    _check_due(plan, recorded)
    return plan


def asked_of(scenario: type[Scenario], target: Target) -> Asked:
    """Return what a run is asked for by default, whether or not it can be made here."""
    return Asked(
        target=target,
        clients=scenario.clients,
        rate=scenario.rate,
        warmup_s=scenario.warmup_s,
        window_s=scenario.window_s,
        repeats=scenario.repeats,
    )


def extent_of(scenario: type[Scenario], asked: Asked) -> Extent:
    """Return how much a run does, and about how long it takes."""
    return extent(scenario.points(asked), asked.repeats, DRAIN_S, scenario.attempts(asked))


def _check(plan: Plan) -> None:
    _at_least("--clients", plan.clients, 1)
    _at_least("--workers", plan.workers, 1)
    _at_least("--repeats", plan.repeats, 1)
    _at_least("--duration", plan.window_s, 0.5)
    _at_least("--warmup", plan.warmup_s, 0)
    _at_least("--rate", plan.rate, 0.1)
    if plan.workers > plan.clients:
        raise UsageError(
            f"--workers {plan.workers}: expected at most one for each of {plan.clients} clients"
        )
    if plan.scenario.seeks and plan.repeats != plan.scenario.repeats:
        raise UsageError(
            f"--repeats {plan.repeats}: {plan.scenario.name()} repeats by itself, until what it"
            " found is confirmed; leave out --repeats"
        )
    check_point(plan, steady(plan.clients, plan.rate, plan.warmup_s, plan.window_s))
    tls_context(plan.target)
    if plan.workers > 1:
        _check_divisible(next(plan.scenario.steps(plan.asked)))


def _check_due(plan: Plan, trace: Trace) -> None:
    """Without an event there is nothing to measure; at a low rate a recording pauses for long."""
    for point in plan.scenario.points(plan.asked):
        rate, loop = point.mean_rate, len(trace.events) * plan.pipelines
        if rate * point.window_s > loop:
            continue
        if trace.takes_s(1, rate, plan.pipelines, point.warmup_s) >= point.window_s:
            where = f" of point {point.label}" if point.label else ""
            raise UsageError(
                f"--rate {plan.rate:g}: no event is due in the measured window of"
                f" {point.window_s:g} s{where}; pass a higher rate or a longer --duration"
            )


def _check_bounds(plan: Plan) -> None:
    for metric, bound_us in plan.bounds_us.items():
        if bound_us <= 0:
            raise UsageError(
                f"bound on {metric}: expected more than 0 µs, got {bound_us:g}: nothing arrives"
                " before it is sent"
            )


def _check_events(plan: Plan, trace: Trace) -> None:
    """A search goes by the figures of single windows: there must be enough events in one."""
    for one in plan.sought:
        percent = PERCENTILES.get(one.metric.removesuffix("_us").rpartition("_")[2])
        if percent is None:
            continue
        needed = events_needed(percent)
        takes_s = trace.takes_s(needed, plan.rate, plan.pipelines, plan.warmup_s)
        if takes_s < plan.window_s:
            continue
        enough_s = (math.floor(10 * takes_s) + 1) / 10
        raise UsageError(
            f"{one.id}: needs {needed:,} events in each window; the trace at {plan.rate:g}"
            f" events/s has fewer in {plan.window_s:g} s; pass --duration {enough_s:.12g} or more"
        )


def _check_divisible(point: Point) -> None:
    if not point.divisible:
        raise UsageError(
            "several Locust processes: only scenarios whose clients stay from beginning to"
            " end can be divided; leave out --workers, --master and --processes"
        )


def check_point(plan: Plan, point: Point) -> None:
    """See that one repeat's load can be offered here and is allowed there.

    Raises:
        UsageError: too many clients, events or events a second; says which flag to change.
    """
    _check_descriptors(-(-point.clients // plan.workers) + point.strangers)
    rate, window_s = point.peak_rate, point.warmup_s + point.window_s
    if rate > MAX_RATE:
        raise UsageError(
            f"--rate {rate:g}: cannot be reached: one publisher sends at most"
            f" {MAX_RATE:g} events/s; pass a lower rate"
        )
    if rate * window_s > MAX_EVENTS:
        raise UsageError(
            f"--rate {rate:g} for --warmup {point.warmup_s:g} and --duration {point.window_s:g}:"
            f" more than {MAX_EVENTS:,} events; pass a shorter duration or warm-up"
        )
    quota = plan.target.promises.publish_events_per_s
    if quota is not None and rate > quota:
        raise UsageError(
            f"--rate {rate:g}: over the target's own quota of {quota} events/s for one"
            f" publisher (`promises.publish_events_per_s` of {plan.target.path.name});"
            f" pass --rate {quota} or less"
        )


def _check_descriptors(clients: int) -> None:
    """Each client is a descriptor of the Locust process, which inherits our limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = clients + SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and needed > soft:
        most = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
        raise UsageError(
            f"--clients {clients}: needs {needed} open files, {soft} are allowed; raise the limit"
            f" with `ulimit -n {needed}` (at most {most} here) or ask for fewer clients"
        )


def _at_least(option: str, value: float, least: float) -> None:
    if not value >= least:
        raise UsageError(f"{option} {value:g}: expected {least:g} or more")


def latency_bounds_us(target: Target, scenario: type[Scenario]) -> dict[str, float]:
    """Return the latency bounds among the claims on a scenario in µs, the tightest of each metric.

    A scenario that seeks what keeps the claims goes by those on any scenario.
    """
    claims = load_claims(target.claims_path) if target.claims_path else ()
    bounds: dict[str, float] = {}
    for claim in filter(_on_latency, claims):
        if scenario.seeks or claim.scenario == scenario.name():
            bounds[claim.metric] = min(claim.bound, bounds.get(claim.metric, claim.bound))
    return bounds


def _tightened(plan: Plan) -> dict[str, float]:
    """Return the latency bounds of claims and objectives together."""
    bounds = dict(plan.bounds_us)
    for one in filter(_on_latency, plan.objectives):
        bounds[one.metric] = min(one.bound, bounds.get(one.metric, one.bound))
    return bounds


def _on_latency(claim: Claim) -> bool:
    latency = claim.metric.startswith(("response_", "service_"))
    return latency and claim.unit == "us" and claim.comparison in {"<", "<="}


def peer_of(target: Target, allowed_hosts: tuple[str, ...]) -> tuple[str, int]:
    """Return the address and port to connect to, judged by the guard."""
    parts = urlsplit(target.url)
    return permit(target.url, allowed_hosts), parts.port or (443 if parts.scheme == "wss" else 80)
